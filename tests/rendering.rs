//! Values cannot break out of their quoting: what a manifest says is what a parse of each output
//! says, or it is a finding.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::compile_text;
use crate::support::texts::{quoted, read_yaml};
use proptest::prelude::*;
use serde_json::Value;

/// The environment of the agent as `docker run --env-file` reads it: each line raw.
fn env_file(text: &str) -> BTreeMap<&str, &str> {
    text.split('\n').filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).collect()
}

/// Checks one text in each place that can hold it, in each output.
fn survives(text: &str) {
    // A value that starts with `?` is a question, not a text.
    let text = text.trim_start_matches('?');
    // One line, as a user and a question are.
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    let username = format!("u{}", line.replace(':', ""));
    let manifest = format!(
        "env:\n  PLACE: {}\n  ASKED: {}\negress:\n  routes:\n    - host: a.example\n      auth: {{ scheme: Basic, username: {}, token_ref: T }}\n      pipelock: {{ tls_passthrough: true }}\n",
        quoted(&text.replace('$', "$$")),
        quoted(&format!("?{line}")),
        quoted(&username),
    );
    let compiled = compile_text(&manifest);
    if text.contains(['\n', '\r', '\0']) {
        assert_eq!(compiled.codes, ["BTL210 2:10"], "{text:?}");
        return;
    }
    if text.ends_with(char::is_whitespace) {
        assert_eq!(compiled.codes, ["BTL501 2:10"], "{text:?}");
        return;
    }
    assert!(compiled.codes.is_empty(), "{text:?} {:?}", compiled.messages);
    assert_eq!(env_file(compiled.file("agent/agent.env"))["PLACE"], text);

    let machine = smolfile::parse(compiled.file("Smolfile")).unwrap();
    let item = machine.env.iter().find(|item| item.starts_with("PLACE=")).unwrap();
    // smolvm trims each item and splits it at the first `=`.
    assert_eq!(item.trim().split_once('=').unwrap().1, text);

    let compose = read_yaml(compiled.file("compose.yaml"));
    let written = compose["services"]["agent"]["environment"]["PLACE"].as_str().unwrap();
    assert!(!written.replace("$$", "").contains('$'), "compose would interpolate {written:?}");
    assert_eq!(written.replace("$$", "$"), text);

    let routes = read_yaml(compiled.file("egress/routes.yaml"));
    assert_eq!(routes["routes"].as_array().unwrap().len(), 3);
    assert_eq!(routes["routes"][2]["auth_username"], username);

    let index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    assert_eq!(index["env"]["ASKED"]["prompt"], line.trim());
    // A review shows all that is there.
    for path in ["compose.yaml", "Smolfile", "egress/routes.yaml", "bottle.json"] {
        let hidden =
            compiled.file(path).chars().find(|&c| "\u{200b}\u{202e}\u{2066}\u{feff}\u{a0}\u{85}\u{e0041}".contains(c));
        assert_eq!(hidden, None, "{path}");
    }
}

#[test]
fn hostile_texts_come_out_as_they_went_in() {
    let texts = [
        "x",
        "\"",
        "'",
        "\\",
        "\\\\",
        "\\\"",
        "\"\"\"",
        "'''",
        "`",
        "``",
        "#",
        "a # b",
        "a #b",
        "#!",
        ": ",
        "a: b",
        "a:",
        ":a",
        "- a",
        "-",
        "--- a",
        "...",
        "*star",
        "&anchor",
        "!tag",
        "!!str",
        "!!python/object/apply:os.system [id]",
        "%YAML 1.2",
        "@at",
        "|",
        ">",
        "|-",
        "? key",
        "[a",
        "]",
        "{a",
        "}",
        "{{ a }}",
        "{% raw %}",
        "{# c #}",
        "{{",
        "}}",
        "${HOME}",
        "$HOME",
        "$$",
        "$$$",
        "${",
        "$(id)",
        "`id`",
        "; rm -rf /",
        "a\tb",
        "\t",
        "\u{1}",
        "\u{7}",
        "\u{8}",
        "\u{b}",
        "\u{c}",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{80}",
        "\u{85}x",
        "\u{9f}",
        "\u{a0}x",
        "\u{ad}",
        "\u{200b}",
        "\u{200f}",
        "\u{2028}x",
        "\u{2029}x",
        "\u{202e}txt.exe",
        "\u{2066}",
        "\u{feff}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{e000}",
        "\u{e0041}",
        "\u{1f980}",
        "\u{10ffff}",
        "e\u{301}",
        "true",
        "null",
        "~",
        "0755",
        "1e3",
        ".inf",
        "yes",
        "2001-12-14",
        "=",
        "<<",
        "\n[network]\nallow_cidrs = []",
        "a\nB=c",
        "a\rb",
        "\",\n]\n[secrets]",
        "\" }\n",
        "a\\u0041",
        "\\x41",
        "%41",
        "&amp;",
        "<!--",
        "-->",
        "\u{130}",
        "\u{131}",
        "ﬁ",
        "Å",
    ];
    assert!(texts.len() >= 100);
    for text in texts {
        survives(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_comes_out_as_it_went_in(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn any_mix_of_syntax_comes_out_as_it_went_in(text in "[\"'\\\\{}%#:&*!|>$`=\\[\\], \t\u{85}\u{2028}a-c-]{0,24}") {
        survives(&text);
    }
}

#[test]
fn templates_leave_quoting_to_the_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates");
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Definitions are data.
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        seen += 1;
        for inside in text.split("{{").skip(1).filter_map(|rest| rest.split("}}").next()) {
            assert!(!inside.contains('|'), "{}: {inside}", path.display());
        }
        for inside in text.split("{%").skip(1).filter_map(|rest| rest.split("%}").next()) {
            let word = inside.trim_start_matches('-').split_whitespace().next().unwrap_or_default();
            let is_known = ["for", "endfor", "if", "else", "endif"].contains(&word);
            let filter = inside.split_once('|').map(|(_, filter)| filter.trim_end_matches('-').trim());
            assert!(is_known && filter.is_none_or(|filter| filter == "items"), "{}: {inside}", path.display());
        }
        // A value inside quotes of the template's own would be quoted twice, or break out of them.
        for (number, line) in text.lines().enumerate() {
            assert!(!line.contains("\"{{") && !line.contains("'{{"), "{}:{}", path.display(), number + 1);
        }
    }
    assert!(seen >= 7);
}
