//! The rules that findings belong to. A code never changes its meaning and is never used again.

use super::page::Page;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing is written.
    Error,
    /// The output is written and means what the manifest says, but probably not what its author wants.
    Warning,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident,)*) => {
        /// One rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every rule, by code.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The stable code, as printed.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code),* }
            }

            /// What the rule is about: its page in `docs/rules/`.
            pub fn page(self) -> Page {
                match self { $(Code::$name => Page::new(include_str!(concat!("../../../docs/rules/", $code, ".md")))),* }
            }

            /// How grave a breach is.
            pub fn severity(self) -> Severity {
                match self { $(Code::$name => Severity::$severity),* }
            }
        }
    };
}

codes! {
    // Reading the text.
    /// The text is not YAML.
    YamlSyntax = "BTL001" Error,
    /// A feature of YAML that manifests do without.
    YamlFeature = "BTL002" Error,
    /// A key stands twice in one mapping.
    DuplicateKey = "BTL003" Error,
    /// A plain scalar that readers of YAML 1.1 and 1.2 take differently.
    AmbiguousScalar = "BTL004" Error,
    /// Too large or nested too deep.
    Limit = "BTL005" Error,
    /// Bytes that are not UTF-8.
    NotUtf8 = "BTL006" Error,
    /// An invisible character.
    ControlCharacter = "BTL007" Error,
    /// A Markdown file without YAML front matter.
    FrontMatter = "BTL008" Error,

    // The schema.
    /// A key that no rule knows.
    UnknownKey = "BTL101" Error,
    /// A key that must be there.
    MissingKey = "BTL102" Error,
    /// A value of another type.
    WrongType = "BTL103" Error,
    /// A value that is not one of the few allowed.
    UnknownValue = "BTL104" Error,
    /// A value of the right type and the wrong form.
    WrongForm = "BTL105" Error,
    /// A key of the reference system that is not compiled.
    UnsupportedKey = "BTL106" Error,
    /// A key that was removed.
    RemovedKey = "BTL107" Error,

    // Rules that a schema cannot say.
    /// Not a name for a bottle.
    BottleName = "BTL201" Error,
    /// A parent that is missing, outside the project or part of a circle.
    Extends = "BTL202" Error,
    /// Not an exact DNS name.
    Host = "BTL203" Error,
    /// Two routes for one host.
    DuplicateHost = "BTL204" Error,
    /// A path prefix that can match nothing, or something else than it says.
    PathPrefix = "BTL205" Error,
    /// `username` and `scheme` do not fit.
    Auth = "BTL206" Error,
    /// A range of addresses that must not or cannot be excepted.
    Cidr = "BTL207" Error,
    /// Not a private /24.
    Subnet = "BTL208" Error,
    /// Not a name for a variable.
    EnvName = "BTL209" Error,
    /// A value that an environment cannot carry.
    EnvValue = "BTL210" Error,
    /// A variable that the plan sets.
    OwnedVariable = "BTL211" Error,
    /// A credential on its way into the agent.
    ForwardedCredential = "BTL213" Error,
    /// Not the name of a host variable.
    TokenRef = "BTL214" Error,
    /// A path that leaves the project or is not there.
    Path = "BTL215" Error,
    /// `image` and `dockerfile` together.
    ImageAndDockerfile = "BTL216" Error,
    /// An entry without effect.
    NoEffect = "BTL217" Warning,
    /// An image that is neither a reference nor a local archive.
    Image = "BTL218" Error,
    /// `keep_authorization` beside `auth`.
    KeepAuthorization = "BTL220" Error,

    // Providers.
    /// A setting that this provider does not take.
    ProviderSetting = "BTL301" Error,
    /// A variable that displaces the provider's placeholder.
    DisplacedPlaceholder = "BTL302" Error,
    /// The host's credential file cannot be used.
    HostCredentials = "BTL303" Error,
    /// The host's credentials end soon.
    HostCredentialsExpiring = "BTL304" Warning,
    /// The host's credential file disagrees with itself.
    HostAccount = "BTL305" Warning,
    /// Other users can read the host's credential file.
    HostCredentialsExposed = "BTL306" Warning,

    // Egress and pipelock.
    /// A manifest route that fights a provider's.
    RouteConflict = "BTL401" Error,
    /// A credential on a host that pipelock opens.
    InterceptedCredential = "BTL402" Warning,
    /// No route at all.
    NoRoutes = "BTL403" Error,
    /// An address exception that holds for more than its route.
    SharedSsrfException = "BTL404" Warning,
    /// A provider's host without a path that the agent cannot do without.
    NarrowedTooFar = "BTL411" Warning,
    /// A provider's host with more paths than the provider asks for.
    WiderThanProvider = "BTL412" Warning,
    /// A host that the provider keeps closed.
    ClosedHost = "BTL413" Warning,

    // Backends and output.
    /// A backend cannot express this.
    Inexpressible = "BTL501" Error,
    /// Two bottles of one build claim the same thing.
    BottleCollision = "BTL502" Error,

    // Lint.
    /// A spliced host without a credential.
    SplicedWithoutCredential = "BTL601" Warning,
    /// One token for hosts of different domains.
    TokenAcrossDomains = "BTL602" Warning,
    /// A value of `env` that looks like a credential.
    SecretInEnv = "BTL603" Warning,
    /// A credential for a code forge.
    WritableForge = "BTL604" Warning,
    /// A host that pipelock refuses by its name.
    RefusedByPipelock = "BTL605" Warning,
    /// A host that looks like another.
    LookAlikeHost = "BTL606" Warning,
    /// A prefix that admits every path.
    AdmitsEverything = "BTL607" Warning,
    /// A variable named like another provider's credential.
    OtherProvidersCredential = "BTL608" Warning,
    /// A tool that reads its roots from a variable that is not set.
    ToolCertificate = "BTL609" Warning,
    /// A package registry that pipelock opens.
    OpenedRegistry = "BTL620" Warning,
    /// A host at which any account can be used.
    OwnAccount = "BTL621" Warning,
    /// A credential of the host, handed to the agent by `env`.
    CredentialInEnv = "BTL630" Warning,
    /// An allow comment that allows nothing.
    UnusedAllow = "BTL701" Warning,
    /// An allow comment without a reason.
    AllowWithoutReason = "BTL702" Warning,
    /// An accept comment that accepts nothing.
    UnusedAcceptance = "BTL703" Warning,
    /// An accept comment without a reason.
    AcceptanceWithoutReason = "BTL704" Warning,
    /// An accept comment whose day is over.
    ExpiredAcceptance = "BTL705" Warning,

    // What a change gives the agent or takes from it.
    /// A credential on a host that it was not sent to before.
    CredentialReachesHost = "BTL801" Warning,
    /// A credential, given to the agent.
    ExposedToken = "BTL802" Warning,
    /// A hop that no longer enforces something.
    WallDown = "BTL803" Warning,
    /// A file that is not as a build wrote it.
    EditedByHand = "BTL804" Warning,
    /// A host that the agent could not reach.
    NewHost = "BTL811" Warning,
    /// A host that pipelock no longer looks into.
    NotScanned = "BTL812" Warning,
    /// Paths that the agent could not reach.
    WidenedPath = "BTL813" Warning,
    /// A token out of the host's login.
    HostLogin = "BTL814" Warning,
    /// A private range that hosts may resolve to.
    PrivateRange = "BTL815" Warning,
    /// A scanner that is off.
    ScannerOff = "BTL816" Warning,
    /// A credential that is new to the bottle, on a host that could be reached.
    NewCredential = "BTL821" Warning,
    /// A value that the agent is given at launch.
    ForwardedValue = "BTL822" Warning,
    /// Another image.
    OtherImage = "BTL823" Warning,
    /// The agent's own credential, which goes through.
    OwnCredential = "BTL824" Warning,
    /// A setting that the model says nothing of.
    OtherSetting = "BTL825" Warning,
    /// Less than before.
    Narrowed = "BTL831" Warning,
    /// Something else, not the reach.
    SameReach = "BTL841" Warning,
    /// An entry of a compiled tree that no build writes.
    ForeignEntry = "BTL851" Warning,
    /// A compiled tree that is gone.
    TreeGone = "BTL852" Warning,
}

/// How grave a change of a bottle is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Grade {
    /// No change of reach.
    Info,
    /// The agent can do less.
    Low,
    /// The agent can do more, where it could do something before.
    Medium,
    /// The agent can reach something new, or somebody looks away.
    High,
    /// A credential or a wall is at stake.
    Critical,
}

impl Grade {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Grade::Info => "info",
            Grade::Low => "low",
            Grade::Medium => "medium",
            Grade::High => "high",
            Grade::Critical => "critical",
        }
    }
}

impl Code {
    /// Whether the text that the finding points at may be a secret.
    pub(crate) fn may_point_at_secret(self) -> bool {
        matches!(self, Code::TokenRef | Code::SecretInEnv)
    }

    /// How grave a change of this kind is; nothing for rules that are not about changes.
    pub fn grade(self) -> Option<Grade> {
        Some(match self {
            Code::CredentialReachesHost
            | Code::ExposedToken
            | Code::WallDown
            | Code::EditedByHand
            | Code::ForeignEntry => Grade::Critical,
            Code::NewHost
            | Code::NotScanned
            | Code::WidenedPath
            | Code::HostLogin
            | Code::PrivateRange
            | Code::ScannerOff
            | Code::TreeGone => Grade::High,
            Code::NewCredential
            | Code::ForwardedValue
            | Code::OtherImage
            | Code::OwnCredential
            | Code::OtherSetting => Grade::Medium,
            Code::Narrowed => Grade::Low,
            Code::SameReach => Grade::Info,
            _ => return None,
        })
    }

    /// The rule of that code, whatever its case.
    pub fn parse(text: &str) -> Option<Code> {
        Code::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }

    /// Which of several errors at one place is told: the lowest.
    pub(crate) fn rank(self) -> u8 {
        match self {
            Code::WrongForm => 3,
            Code::AmbiguousScalar => 2,
            Code::WrongType | Code::UnknownValue => 1,
            _ => 0,
        }
    }
}
