//! What is known of a rule, in one row: code, severity, grade and page. A code never changes its meaning and is never
//! used again. The rules that are found while a manifest is read, checked or compared have their rows here; a lint
//! rule has its own in its file, in `compile/rules/`.

use std::cmp::Ordering;
use std::fmt;

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

/// The row of a rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The stable code, as printed.
    pub(crate) code: &'static str,
    pub(crate) severity: Severity,
    /// The text of `docs/rules/CODE.md`.
    pub(crate) page: &'static str,
    /// How grave a change of this kind is; `None` for rules that are not about changes.
    pub(crate) grade: Option<Grade>,
    /// Which of several errors at one place is reported: the lowest.
    pub(crate) rank: u8,
    /// Whether the text that a finding points at may be a secret.
    pub(crate) may_point_at_secret: bool,
}

impl Rule {
    /// What most rules are: not about changes, told first, about no secret.
    pub(crate) const fn new(code: &'static str, severity: Severity, page: &'static str) -> Self {
        Rule { code, severity, page, grade: None, rank: 0, may_point_at_secret: false }
    }
}

/// One rule. Two are the same if their codes are.
#[derive(Clone, Copy)]
pub struct Code(&'static Rule);

/// Makes a [`Code`] of a row: `code!("BTL105" Error { rank: 3 })`. Its page is compiled in.
macro_rules! code {
    ($code:literal $severity:ident $({ $($field:ident: $value:expr),* })?) => {{
        const ROW: &$crate::text::diagnostic::Rule = &$crate::text::diagnostic::Rule {
            $($($field: $value,)*)?
            ..$crate::text::diagnostic::Rule::new(
                $code,
                $crate::text::diagnostic::Severity::$severity,
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/rules/", $code, ".md")),
            )
        };
        $crate::text::diagnostic::Code::of(ROW)
    }};
}
pub(crate) use code;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $severity:ident $({ $($row:tt)* })?,)*) => {
        #[allow(non_upper_case_globals, reason = "a rule is named like a variant")]
        impl Code {
            $($(#[$doc])* pub const $name: Code = code!($code $severity $({ $($row)* })?);)*

            /// Every rule but those of lint, by code.
            pub const BUILT_IN: &'static [Code] = &[$(Code::$name),*];
        }
    };
}

codes! {
    // Reading the text.
    /// The text is not YAML.
    YamlSyntax = "BTL001" Error,
    /// A feature of YAML that manifests do without.
    YamlFeature = "BTL002" Error,
    /// A duplicate key in a mapping.
    DuplicateKey = "BTL003" Error,
    /// A plain scalar that readers of YAML 1.1 and 1.2 take differently.
    AmbiguousScalar = "BTL004" Error { rank: 2 },
    /// Too large or nested too deep.
    Limit = "BTL005" Error,
    /// Bytes that are not UTF-8.
    NotUtf8 = "BTL006" Error,
    /// An invisible character.
    ControlCharacter = "BTL007" Error,
    /// A Markdown file without YAML front matter.
    FrontMatter = "BTL008" Error,
    /// A file of a folder that has the keys of a bottle and another name.
    LookAlike = "BTL009" Warning,
    /// A project's configuration that cannot be used.
    Configuration = "BTL010" Error,

    // The schema.
    /// A key that no rule knows.
    UnknownKey = "BTL101" Error,
    /// A key that must be there.
    MissingKey = "BTL102" Error,
    /// A value of another type.
    WrongType = "BTL103" Error { rank: 1 },
    /// A value that is not one of the few allowed.
    UnknownValue = "BTL104" Error { rank: 1 },
    /// A value of the right type and the wrong form.
    WrongForm = "BTL105" Error { rank: 3 },
    /// A key of the reference system that is not compiled.
    UnsupportedKey = "BTL106" Error,
    /// A key that was removed.
    RemovedKey = "BTL107" Error,
    /// A key of the reference system, in a file that it reads too.
    IgnoredKey = "BTL108" Warning,
    /// A document of the reference system that is not a bottle.
    OtherDocument = "BTL109" Error,

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
    TokenRef = "BTL214" Error { may_point_at_secret: true },
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
    /// A part of an agent's definition that is out of form or does not go with the rest.
    Definition = "BTL307" Error,

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

    // Comments to bottlec.
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

    // The project's policy.
    /// Something that the policy forbids.
    Forbidden = "BTL710" Error,
    /// Something else than the policy requires.
    Required = "BTL711" Error,

    // What a change gives the agent or takes from it.
    /// A credential on a host that it was not sent to before.
    CredentialReachesHost = "BTL801" Warning { grade: Some(Grade::Critical) },
    /// A credential, given to the agent.
    ExposedToken = "BTL802" Warning { grade: Some(Grade::Critical) },
    /// A hop that no longer enforces something.
    WallDown = "BTL803" Warning { grade: Some(Grade::Critical) },
    /// A file that is not as a build wrote it.
    EditedByHand = "BTL804" Warning { grade: Some(Grade::Critical) },
    /// A host that the agent could not reach.
    NewHost = "BTL811" Warning { grade: Some(Grade::High) },
    /// A host that pipelock no longer looks into.
    NotScanned = "BTL812" Warning { grade: Some(Grade::High) },
    /// Paths that the agent could not reach.
    WidenedPath = "BTL813" Warning { grade: Some(Grade::High) },
    /// A token out of the host's login.
    HostLogin = "BTL814" Warning { grade: Some(Grade::High) },
    /// A private range that hosts may resolve to.
    PrivateRange = "BTL815" Warning { grade: Some(Grade::High) },
    /// A scanner that is off.
    ScannerOff = "BTL816" Warning { grade: Some(Grade::High) },
    /// A credential that is new to the bottle, on a host that could be reached.
    NewCredential = "BTL821" Warning { grade: Some(Grade::Medium) },
    /// A value that the agent is given at launch.
    ForwardedValue = "BTL822" Warning { grade: Some(Grade::Medium) },
    /// Another image.
    OtherImage = "BTL823" Warning { grade: Some(Grade::Medium) },
    /// The agent's own credential, which goes through.
    OwnCredential = "BTL824" Warning { grade: Some(Grade::Medium) },
    /// A setting that the model says nothing of.
    OtherSetting = "BTL825" Warning { grade: Some(Grade::Medium) },
    /// Less than before.
    Narrowed = "BTL831" Warning { grade: Some(Grade::Low) },
    /// Something else, not the reach.
    SameReach = "BTL841" Warning { grade: Some(Grade::Info) },
    /// An entry of a compiled tree that no build writes.
    ForeignEntry = "BTL851" Warning { grade: Some(Grade::Critical) },
    /// A compiled tree that is gone.
    TreeGone = "BTL852" Warning { grade: Some(Grade::High) },
    /// A manifest was removed, or has a name under which nothing finds it.
    LeftTheGate = "BTL853" Warning { grade: Some(Grade::High) },
    /// A project's configuration that asks for less.
    WeakerConfiguration = "BTL861" Warning { grade: Some(Grade::High) },
    /// A bottle that does what the policy of either side forbids. Nobody can accept it by a comment.
    AgainstPolicy = "BTL862" Warning { grade: Some(Grade::Critical) },
}

impl Code {
    pub(crate) const fn of(rule: &'static Rule) -> Self {
        Code(rule)
    }

    /// The stable code, as printed.
    pub fn as_str(self) -> &'static str {
        self.0.code
    }

    /// What the rule is about: its page in `docs/rules/`.
    pub fn page(self) -> Page {
        Page::new(self.0.page)
    }

    /// How grave a breach is.
    pub fn severity(self) -> Severity {
        self.0.severity
    }

    /// How grave a change of this kind is; `None` for rules that are not about changes.
    pub fn grade(self) -> Option<Grade> {
        self.0.grade
    }

    /// Whether the text is this code, whatever its case.
    pub(crate) fn is(self, text: &str) -> bool {
        self.0.code.eq_ignore_ascii_case(text)
    }

    /// Which of several errors at one place is reported: the lowest.
    pub(super) fn rank(self) -> u8 {
        self.0.rank
    }

    /// Whether it is about what the project's policy says.
    pub(super) fn is_of_policy(self) -> bool {
        [Code::Forbidden, Code::Required].contains(&self)
    }

    /// Whether the text that the finding points at may be a secret.
    pub fn may_point_at_secret(self) -> bool {
        self.0.may_point_at_secret
    }
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.0.code == other.0.code
    }
}

impl Eq for Code {}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Code {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.code.cmp(other.0.code)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.0.code)
    }
}
