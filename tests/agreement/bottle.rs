//! Bottles by chance: numbers, and manifests with all that egress can express.

use serde_json::json;

pub(crate) const HOSTS: [&str; 9] = [
    "api.example",
    "sub.api.example",
    "Kiosk.Example",
    "xn--bcher-kva.example",
    "git.example",
    "localhost",
    "1.2.3.4.example",
    "api.anthropic.com",
    "a-63-character-label-is-the-longest-that-any-name-may-have-here.a-63-character-label-is-the-longest-that-any-name-may-have-here.a-63-character-label-is-the-longest-that-any-name-may-have-here.a-61-character-label-is-the-longest-for-a-name-of-253-in-all",
];

pub(crate) const FOREIGN: [&str; 14] = [
    "evil.example",
    "api.example.evil.example",
    "xapi.example",
    "example",
    "api.example.",
    "api_.example",
    "192.0.2.7",
    "[::1]",
    "2130706433",
    "xn--bcher-kva.evil",
    "api.anthropic.com.",
    "platform.claude.com",
    "auth.openai.com",
    "-",
];

/// How a manifest says that egress signs.
const FORMS: [&str; 8] = [
    "scheme: Bearer",
    "scheme: token",
    "scheme: Basic, username: x-access-token",
    "scheme: Basic, username: \"ro bot\"",
    "header: X-Example-Key",
    "header: x-example-key, prefix: \"Key=\"",
    "header: Authorization, prefix: \"Bot \"",
    "query: x-example-key",
];

/// Pseudo-random numbers (SplitMix64), the same on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    pub(crate) fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    pub(crate) fn of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }
}

/// A manifest that may hold anything that egress can express.
pub(crate) fn manifest(random: &mut Random) -> String {
    let provider = random.of(&[
        "{ template: claude, auth_token: AGENT }",
        "{ template: claude }",
        "{ template: codex, forward_host_credentials: true }",
        "{ template: codex }",
    ]);
    let mut text = format!("agent_provider: {provider}\n");
    let count = random.below(6);
    let mut hosts = HOSTS.to_vec();
    for n in 0..count {
        if n == 0 {
            text += "egress:\n  routes:\n";
        }
        let host = hosts.swap_remove(random.below(hosts.len()));
        text += &format!("    - host: {host}\n");
        let is_provider_host = host == "api.anthropic.com";
        let mut prefixes: Vec<String> = Vec::new();
        for _ in 0..(if random.percent(70) || is_provider_host { 1 + random.below(3) } else { 0 }) {
            let prefix = prefix(random);
            let border = |prefix: &str| prefix.trim_end_matches('/').to_owned() + "/";
            let overlap = |other: &String| {
                border(other).starts_with(&border(&prefix)) || border(&prefix).starts_with(&border(other))
            };
            if !prefixes.iter().any(overlap) {
                prefixes.push(prefix);
            }
        }
        if !prefixes.is_empty() {
            text += &format!("      path_allowlist: {}\n", json!(prefixes));
        }
        if is_provider_host {
            continue;
        }
        if random.percent(50) {
            let token = random.below(5);
            let form = random.of(&FORMS);
            text += &format!("      auth: {{ {form}, token_ref: T{token} }}\n");
            if form.starts_with("query") {
                text += "      pipelock: { tls_passthrough: true }\n";
                continue;
            }
        } else if random.percent(40) {
            text += "      keep_authorization: true\n";
        }
        if random.percent(50) {
            text += "      pipelock: { tls_passthrough: true }\n";
        }
    }
    text
}

fn prefix(random: &mut Random) -> String {
    let segments = ["a", "v1", "repos", "x.git", "A", "~u", "a..b", "@scope", "a,b(c)", "...x", "-_.!$&'*+=:"];
    let mut prefix = String::new();
    for _ in 0..random.below(4) {
        prefix += "/";
        prefix += random.of(&segments);
    }
    if prefix.is_empty() || random.percent(20) { prefix + "/" } else { prefix }
}
