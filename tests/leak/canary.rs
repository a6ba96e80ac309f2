//! Canaries: a login file, an environment and answers in which everything that is secret can be told
//! from everything else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::detector::Detector;
use crate::support::folder;

/// 2100-01-01
pub(crate) const LATER: i64 = 4_102_444_800;

/// What of a login may be in a tree: the account, the user and the plan.
pub(crate) const ACCOUNT: &str = "0a1b2c3d-1111-4222-8333-444455556666";
const USER: &str = "user-KeptUser42";

/// Random letters and digits, which no encoder of text leaves out and none changes but as a whole.
fn random(length: usize) -> String {
    let mut bytes = vec![0; length];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    let alphabet: Vec<u8> = (b'a'..=b'z').chain(b'A'..=b'Z').chain(b'0'..=b'9').collect();
    bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect()
}

/// The makings of canaries: each begins and ends with a mark that is this run's own, so that half of one
/// is found as well, and one search finds them all.
pub(crate) struct Canaries {
    mark: String,
    made: RefCell<Vec<String>>,
}

impl Canaries {
    pub(crate) fn new() -> Self {
        Canaries { mark: random(16), made: RefCell::default() }
    }

    /// One more; the middle is its own.
    pub(crate) fn next(&self) -> String {
        let canary = format!("{}{}{}", self.mark, random(12), self.mark);
        self.made.borrow_mut().push(canary.clone());
        canary
    }

    /// How many whole canaries are in there, as they are.
    pub(crate) fn count(&self, bytes: &[u8]) -> usize {
        self.made.borrow().iter().map(|canary| memmem::find_iter(bytes, canary).count()).sum()
    }

    pub(crate) fn detector(&self) -> Detector {
        Detector::new(self.mark.as_bytes())
    }

    /// A token as the service signs it.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = json!({ "alg": "RS256", "kid": self.next(), "typ": "JWT" });
        format!("{}.{}.{}", encode(header), encode(claims.clone()), self.next())
    }

    /// The claims of a token: what may be known, what the service always says, and canaries.
    pub(crate) fn claims(&self, expiry: i64) -> Value {
        json!({
            "amr": ["pwd", self.next()],
            "aud": ["https://api.openai.com/v1", self.next()],
            "client_id": self.next(),
            "exp": expiry,
            "email": format!("{}@{}.example", self.next(), self.next()),
            "iss": "https://auth.openai.com",
            "jti": self.next(),
            "name": self.next(),
            "scp": ["openid", "profile", "email", "offline_access"],
            "session_id": self.next(),
            "sub": self.next(),
            "https://api.openai.com/auth": {
                "chatgpt_account_id": ACCOUNT,
                "chatgpt_account_user_id": self.next(),
                "chatgpt_compute_residency": self.next(),
                "chatgpt_plan_type": "enterprise",
                "chatgpt_user_id": USER,
                "groups": ["workspace", self.next()],
                "organizations": [{ "id": self.next(), "title": "Personal", "role": self.next() }],
                "user_id": USER,
            },
            "https://api.openai.com/profile": { "email": self.next(), "email_verified": true },
        })
    }

    /// A whole login file.
    pub(crate) fn login(&self) -> Value {
        json!({
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": self.next(),
            "tokens": {
                "id_token": self.token(&self.claims(LATER)),
                "access_token": self.token(&self.claims(LATER)),
                "refresh_token": self.next(),
                "account_id": ACCOUNT,
                "unknown_token": self.next(),
            },
            "last_refresh": "2026-11-20T10:11:12.345678901Z",
            "agent_identity": self.next(),
            "personal_access_token": self.next(),
            "bedrock_api_key": self.next(),
            "bedrock_access_keys": { "id": self.next(), "secret": [self.next()] },
            "unknown": { "nested": { "deeper": [self.next()] } },
            "unknown_text": self.next(),
        })
    }
}

/// A project with a login, in whose environment every variable is a canary that is not a path or a
/// number by its nature.
pub(crate) struct Project {
    pub(crate) canaries: Canaries,
    pub(crate) folder: TempDir,
    pub(crate) environment: BTreeMap<String, String>,
}

/// Variables that bottlec, what it is made of, or what it starts might look at.
const VARIABLES: [&str; 40] = [
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "BOTTLEC_CONSUMERS",
    "BOTTLE_EGRESS_IMAGE",
    "BOTTLE_MANIFEST_DIR",
    "BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "CODEX_ACCESS_TOKEN",
    "CODEX_API_KEY",
    "COLORTERM",
    "COLUMNS",
    "COMPOSE_PROJECT_NAME",
    "DATABASE_URL",
    "DOCKER_AUTH_CONFIG",
    "EGRESS_TOKEN_0",
    "EGRESS_TOKEN_7",
    "FORCE_COLOR",
    "GITHUB_TOKEN",
    "GITLAB_TOKEN",
    "GIT_ASKPASS",
    "GIT_TRACE_REDACT",
    "HTTPS_PROXY",
    "LANG",
    "LC_ALL",
    "LINES",
    "LOGNAME",
    "NPM_TOKEN",
    "OPENAI_API_KEY",
    "PYTHONPATH",
    "RUST_LOG",
    "SSH_AUTH_SOCK",
    "SUDO_USER",
    "TERM",
    "TERM_PROGRAM",
    "TZ",
    "USER",
    "XDG_CONFIG_HOME",
];

/// Where the login file is, from the project's folder, which is the home.
pub(crate) const LOGIN: &str = ".codex/auth.json";

impl Project {
    /// With these files; every word in capitals in them is the name of a variable.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let canaries = Canaries::new();
        let folder = folder(files);
        let words = files.iter().flat_map(|(_, text)| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
        let names = words.filter(|word| {
            word.len() > 2
                && word.starts_with(|c: char| c.is_ascii_uppercase())
                && !word.contains(|c: char| c.is_ascii_lowercase())
        });
        let environment =
            names.chain(VARIABLES).map(|name| (name.to_owned(), canaries.next())).collect::<BTreeMap<_, _>>();
        let project = Project { canaries, folder, environment };
        project.sign_in(project.canaries.login().to_string().as_bytes());
        project
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Puts the login file there, for its owner alone.
    pub(crate) fn sign_in(&self, content: &[u8]) {
        let file = self.path().join(LOGIN);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&file);
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// bottlec in the project's folder, without a terminal.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.args(["--wait", env!("CARGO_BIN_EXE_bottlec")]).args(arguments);
        self.dress(&mut command);
        command
    }

    /// Gives a command the project's folder and environment.
    pub(crate) fn dress(&self, command: &mut Command) {
        let temporary = self.path().join("tmp");
        fs::create_dir_all(&temporary).unwrap();
        command.current_dir(self.path()).env_clear().envs(&self.environment).stdin(std::process::Stdio::null());
        command.env("HOME", self.path()).env("TMPDIR", temporary).env("RUST_BACKTRACE", "full");
        command.env("PATH", std::env::var_os("PATH").unwrap());
    }

    /// Agrees to what the bottle does with credentials, in the project, which is the home.
    pub(crate) fn allow(&self) {
        assert!(self.run(&["allow", "--yes", "out/review"]).status.success());
    }

    /// Runs bottlec and searches all that it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let run = self.command(arguments).output().unwrap();
        self.assert_silent(&run, &format!("{arguments:?}"));
        run
    }

    /// No canary is in what a run said.
    pub(crate) fn assert_silent(&self, run: &Output, what: &str) {
        let detector = self.canaries.detector();
        for (stream, bytes) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
            if let Some(found) = detector.find(bytes) {
                panic!("{what}: a canary is in {stream} {found}");
            }
        }
    }

    /// No canary is in a file below the project, nor in a file's name, but for the login file itself.
    pub(crate) fn assert_clean(&self, what: &str) {
        let detector = self.canaries.detector();
        let mut files = 0;
        for path in walk(self.path()) {
            let name = path.strip_prefix(self.path()).unwrap();
            if name == Path::new(LOGIN) {
                continue;
            }
            files += 1;
            let bytes = fs::read(&path).unwrap_or_default();
            if let Some(found) = detector.find(&bytes).or_else(|| detector.find(name.as_os_str().as_encoded_bytes())) {
                panic!("{what}: a canary is in {} {found}", path.display());
            }
        }
        assert!(files > 0);
    }
}

/// The files below a folder; links and pipes are not followed.
pub(crate) fn walk(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match fs::symlink_metadata(&path).unwrap().file_type() {
            kind if kind.is_dir() => walk(&path),
            kind if kind.is_file() => vec![path],
            _ => Vec::new(),
        })
        .collect()
}
