//! How values of the core are written on the command line. The core does not know clap.

use clap::ValueEnum;
use clap::builder::PossibleValue;

use crate::config::FailOn;
use crate::target::Backend;
use crate::text::accept::AcceptFrom;

impl ValueEnum for Backend {
    fn value_variants<'a>() -> &'a [Self] {
        &Backend::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(match self {
            Backend::Docker => "A container: the agent is a service of `compose.yaml`",
            Backend::Smolmachines => {
                "A microVM: the agent is a machine of the `Smolfile`, the proxies are services of `compose.yaml`"
            }
        }))
    }
}

impl ValueEnum for AcceptFrom {
    fn value_variants<'a>() -> &'a [Self] {
        &[AcceptFrom::Base, AcceptFrom::Head]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self {
            AcceptFrom::Base => PossibleValue::new("base").help("Those that were there before the change"),
            AcceptFrom::Head => PossibleValue::new("head").help("Those of the change under review as well"),
        })
    }
}

impl ValueEnum for FailOn {
    fn value_variants<'a>() -> &'a [Self] {
        &FailOn::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()).help(match self {
            FailOn::Info => "No change of reach",
            FailOn::Low => "The agent can do less",
            FailOn::Medium => "The agent can do more, where it could do something before",
            FailOn::High => "The agent can reach something new, or somebody looks away",
            FailOn::Critical => "A credential or a wall is at stake",
            FailOn::Never => "No change fails",
        }))
    }
}
