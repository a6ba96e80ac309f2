//! What must be restarted or rebuilt before a changed bottle is what runs.

/// Something to do with a running bottle, in the order in which it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restart {
    /// Everything, since the networks are others.
    Recreate,
    /// The agent's image is built from something else.
    RebuildImage,
    /// pipelock refuses to take the change while it runs.
    RestartPipelock,
    /// pipelock reads its file again by itself.
    ReloadPipelock,
    /// egress has another environment, addon or command.
    RecreateEgress,
    /// egress reads its routes again by itself.
    ReloadEgress,
    /// The agent has another environment, home or command.
    RecreateAgent,
}

impl Restart {
    /// The stable word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Restart::Recreate => "recreate-bottle",
            Restart::RebuildImage => "rebuild-image",
            Restart::RestartPipelock => "restart-pipelock",
            Restart::ReloadPipelock => "reload-pipelock",
            Restart::RecreateEgress => "recreate-egress",
            Restart::ReloadEgress => "reload-egress",
            Restart::RecreateAgent => "recreate-agent",
        }
    }

    /// What to do, in words.
    pub fn says(self) -> &'static str {
        match self {
            Restart::Recreate => "take the bottle down and up again: its networks have changed",
            Restart::RebuildImage => "rebuild the agent's image",
            Restart::RestartPipelock => "stop and recreate pipelock: it does not apply this change while it runs",
            Restart::ReloadPipelock => "nothing to do for pipelock: it reloads its file by itself",
            Restart::RecreateEgress => "recreate egress with `bottlec exec`: its environment or program has changed",
            Restart::ReloadEgress => "nothing to do for egress: it reloads its routes by itself",
            Restart::RecreateAgent => "recreate the agent with `bottlec exec`",
        }
    }

    /// Whether the other one is done by this one as well.
    pub fn includes(self, other: Restart) -> bool {
        match self {
            Restart::Recreate => ![Restart::Recreate, Restart::RebuildImage].contains(&other),
            Restart::RestartPipelock => other == Restart::ReloadPipelock,
            Restart::RecreateEgress => other == Restart::ReloadEgress,
            Restart::RebuildImage | Restart::ReloadPipelock | Restart::ReloadEgress | Restart::RecreateAgent => false,
        }
    }
}
