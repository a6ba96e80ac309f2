//! The smaller commands: `init`, `plan`, `providers`, `schema`, `rule`, `completions`, `man`, and help.

use std::fs;

use crate::support::{bottlec, folder, screen, stdout};
use bottlec::compile::rules;
use bottlec::provider;

#[test]
fn init_writes_a_manifest_that_passes_the_strict_check_and_never_overwrites() {
    for template in provider::names(|_| true) {
        let folder = folder(&[]);
        let run = bottlec(folder.path(), &["init", "--template", template]);
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        let text = fs::read_to_string(folder.path().join("bottle.yaml")).unwrap();
        assert!(text.starts_with("# yaml-language-server: $schema="), "{text}");
        assert!(text.contains(&format!("template: {template}")), "{text}");
        let check = bottlec(folder.path(), &["check", "--strict", "bottle.yaml"]);
        assert_eq!((check.status.code(), stdout(&check).as_str()), (Some(0), ""), "{}", screen(&check));
        assert_eq!(bottlec(folder.path(), &["build", "bottle.yaml", "--hermetic", "-o", "out"]).status.code(), Some(0));

        let again = bottlec(folder.path(), &["init", "--template", "claude"]);
        assert_eq!(again.status.code(), Some(2));
        assert!(screen(&again).contains("already exists"), "{}", screen(&again));
        assert_eq!(fs::read_to_string(folder.path().join("bottle.yaml")).unwrap(), text);
        assert_eq!(stdout(&bottlec(folder.path(), &["init", "--template", template, "-"])), text);
        // Editors find the schema that the first line names.
        let schema = fs::read_to_string(folder.path().join("bottle.schema.json")).unwrap();
        assert_eq!(schema, include_str!("../schema/bottle.schema.json"));
    }
    let folder = folder(&[]);
    let unknown = bottlec(folder.path(), &["init", "--template", "gemini"]);
    assert_eq!(unknown.status.code(), Some(2));
    let known = provider::names(|_| true).join(", ");
    assert!(screen(&unknown).contains(&known), "{}", screen(&unknown));
    std::os::unix::fs::symlink("nowhere", folder.path().join("link.yaml")).unwrap();
    assert_eq!(bottlec(folder.path(), &["init", "link.yaml"]).status.code(), Some(2), "a link is there already");
}

#[test]
fn init_names_the_bottle_after_its_file_or_its_folder() {
    let folder = folder(&[("My_Project 2/kept", ""), ("77/kept", ""), ("deep/bottle.schema.json", "{}")]);
    for (path, name, is_found) in [
        ("review.bottle.yaml", "review", true),
        ("Code Review.yaml", "code-review", false),
        ("My_Project 2/bottle.yaml", "my-project-2", true),
        ("My_Project 2/manifest.yaml", "my-project-2", true),
        ("77/bottle.yaml", "agent", true),
        ("deep/a.bottle.yaml", "a", true),
    ] {
        let run = bottlec(folder.path(), &["init", path]);
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        let text = fs::read_to_string(folder.path().join(path)).unwrap();
        assert!(text.contains(&format!("\nname: {name}\n")), "{path}: {text}");
        assert_eq!(screen(&run).contains("do not look for this name"), !is_found, "{path}: {}", screen(&run));
    }
    // A file of that name is somebody's.
    assert_eq!(fs::read_to_string(folder.path().join("deep/bottle.schema.json")).unwrap(), "{}");
}

#[test]
fn schema_prints_the_committed_schema() {
    let folder = folder(&[]);
    let run = bottlec(folder.path(), &["schema"]);
    assert_eq!(stdout(&run), include_str!("../schema/bottle.schema.json"));
}

#[test]
fn rule_explains_each_code_and_lists_all() {
    let folder = folder(&[]);
    for code in rules::all() {
        let run = bottlec(folder.path(), &["rule", &code.as_str().to_lowercase()]);
        assert_eq!(stdout(&run), code.page().plain(None));
    }
    let list = stdout(&bottlec(folder.path(), &["rule"]));
    assert_eq!(list.lines().count(), rules::all().len());
    assert!(list.contains("BTL203  error     invalid host\n"), "{list}");
    let unknown = bottlec(folder.path(), &["rule", "BTL20"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(screen(&unknown).contains("did you mean BTL20"), "{}", screen(&unknown));
    let far = bottlec(folder.path(), &["rule", "E0308"]);
    assert!(screen(&far).contains("run `bottlec rule` to list all rules"), "{}", screen(&far));
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let folder = folder(&[]);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = stdout(&bottlec(folder.path(), &["completions", shell]));
        assert!(
            ["allow", "build", "check", "diff", "exec", "rule", "schema"]
                .iter()
                .all(|command| script.contains(command)),
            "{shell}"
        );
    }
    let page = stdout(&bottlec(folder.path(), &["man"]));
    assert!(page.contains(".TH bottlec 1") && page.contains("Exit codes"), "{page}");
    fs::create_dir(folder.path().join("pages")).unwrap();
    assert_eq!(bottlec(folder.path(), &["man", "pages"]).status.code(), Some(0));
    for name in ["", "-allow", "-build", "-check", "-diff", "-exec", "-init"] {
        assert!(folder.path().join(format!("pages/bottlec{name}.1")).exists(), "{name}");
    }
}

#[test]
fn every_command_has_help_with_examples() {
    let folder = folder(&[]);
    for command in [
        "allow",
        "build",
        "check",
        "diff",
        "exec",
        "init",
        "man",
        "plan",
        "providers",
        "rule",
        "schema",
        "why",
        "completions",
    ] {
        let run = bottlec(folder.path(), &[command, "--help"]);
        assert_eq!(run.status.code(), Some(0));
        assert!(stdout(&run).contains("Examples:\n  bottlec "), "{command}: {}", stdout(&run));
    }
    let version = stdout(&bottlec(folder.path(), &["--version"]));
    assert_eq!(version, format!("bottlec {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn plan_is_what_the_provider_asks_for_and_what_is_merged() {
    let text = "agent_provider: { template: codex, forward_host_credentials: true }\negress:\n  routes:\n    - host: a.example\n      path_allowlist: [/b]\n";
    let folder = folder(&[("review.yaml", text), ("broken.yaml", "egress: { routes: [{ host: A B }] }\n")]);
    let run = bottlec(folder.path(), &["plan", "review.yaml"]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    let plan: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let hosts: Vec<&str> =
        plan["routes"].as_array().unwrap().iter().map(|route| route["host"].as_str().unwrap()).collect();
    assert_eq!(hosts, ["api.openai.com", "chatgpt.com", "a.example"]);
    assert_eq!(plan["routes"][2]["from"]["manifest"], "review.yaml:4:13");
    assert_eq!(plan["routes"][2]["path_allowlist"][0], "/b");
    assert_eq!(plan["routes"][0]["auth"]["slot"], "EGRESS_TOKEN_0");
    assert_eq!(plan["slots"]["EGRESS_TOKEN_0"], "BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN");
    assert_eq!(plan["provisioned_env"]["BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN"]["folder_variable"], "CODEX_HOME");

    let run = bottlec(folder.path(), &["plan", "broken.yaml"]);
    assert_eq!((run.status.code(), run.stdout.len()), (Some(1), 0), "{}", screen(&run));
}

#[test]
fn hidden_variables_are_in_no_plan_but_by_name() {
    let folder = folder(&[("review.yaml", "agent_provider: { template: claude, auth_token: T }\n")]);
    let run = bottlec(folder.path(), &["plan", "review.yaml"]);
    let plan: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(plan["hidden_env_names"][0], "CLAUDE_CODE_OAUTH_TOKEN");
    assert!(!String::from_utf8(run.stdout).unwrap().contains("egress-placeholder"));
}

#[test]
fn providers_lists_every_agent_with_its_ways_to_sign_in() {
    let folder = folder(&[]);
    let run = bottlec(folder.path(), &["providers"]);
    let text = String::from_utf8(run.stdout).unwrap();
    let names: Vec<&str> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    let mut known: Vec<String> = provider::names(|_| true).into_iter().map(str::to_owned).collect();
    known[0] += " (default)";
    assert_eq!(names, known);
    assert!(text.contains("auth_token: ") && text.contains("forward_host_credentials: true ($CODEX_HOME/auth.json"));
}
