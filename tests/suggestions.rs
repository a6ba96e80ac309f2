//! "Did you mean": every key and every named value of the schema, misspelt by one edit.

use crate::support::compile_text;
use bottlec::manifest::schema;
use bottlec::text::suggest::is_one_edit_away;
use serde_json::Value;

/// One letter dropped, doubled, swapped with the next or replaced.
fn misspellings(word: &str) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    let mut found = Vec::new();
    for at in 0..letters.len() {
        let build = |change: &dyn Fn(&mut Vec<char>)| {
            let mut letters = letters.clone();
            change(&mut letters);
            letters.into_iter().collect::<String>()
        };
        found.push(build(&|letters| {
            letters.remove(at);
        }));
        found.push(build(&|letters| letters.insert(at, letters[at])));
        found.push(build(&|letters| letters[at] = if letters[at] == 'x' { 'z' } else { 'x' }));
        if at + 1 < letters.len() {
            found.push(build(&|letters| letters.swap(at, at + 1)));
        }
    }
    found
}

/// Each level of the manifest: the schema's pointer to it, and a manifest with a place for a line there
/// and for what a key of that level must stand beside.
const LEVELS: [(&str, &str); 8] = [
    ("", "KEY: {}\n"),
    ("/properties/agent_provider", "agent_provider:\n  KEY: x\n"),
    ("/properties/network", "network:\n  KEY: x\n"),
    ("/properties/egress", "egress:\n  KEY: []\n"),
    ("/properties/egress/properties/routes/items", "egress:\n  routes:\n    - KEY: x\n      REST\n"),
    (
        "/properties/egress/properties/routes/items/properties/auth",
        "egress:\n  routes:\n    - host: a.example\n      auth:\n        KEY: x\n        REST\n",
    ),
    (
        "/properties/egress/properties/routes/items/properties/pipelock",
        "egress:\n  routes:\n    - host: a.example\n      pipelock:\n        KEY: x\n",
    ),
    ("/properties/targets", "targets:\n  KEY: x\n"),
];

/// The other required keys of a level, as lines.
fn rest(key: &str, level: &Value, indent: &str) -> String {
    let required =
        level["required"].as_array().into_iter().flatten().filter_map(Value::as_str).filter(|name| *name != key);
    let value = |name| match name {
        "host" => "a.example",
        "scheme" => "Bearer",
        _ => "T",
    };
    required.map(|name| format!("{name}: {}", value(name))).collect::<Vec<_>>().join(&format!("\n{indent}"))
}

#[test]
fn every_misspelt_key_gets_the_right_one() {
    let schema: Value = serde_json::from_str(schema::TEXT).unwrap();
    let mut tried = 0;
    for (pointer, manifest) in LEVELS {
        let level = schema.pointer(pointer).unwrap();
        let keys: Vec<&String> = level["properties"].as_object().unwrap().keys().collect();
        for key in &keys {
            for wrong in misspellings(key) {
                if keys.iter().any(|known| **known == wrong) || wrong.is_empty() {
                    continue;
                }
                let indent = manifest.split('\n').find_map(|line| line.strip_suffix("REST")).unwrap_or_default();
                let manifest = manifest.replace("KEY", &wrong).replace("REST", &rest(key, level, indent));
                let compiled = compile_text(&manifest);
                let expected = format!("(did you mean `{key}`?)");
                let found = compiled.messages.iter().filter(|message| message.ends_with(&expected)).count();
                assert_eq!(found, 1, "{pointer} {wrong}: {:?}", compiled.messages);
                // That a required key is missing follows from its being misspelt.
                assert!(
                    !compiled.codes.iter().any(|code| code.starts_with("BTL102")),
                    "{wrong} {:?}",
                    compiled.messages
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 400, "{tried}");
}

#[test]
fn every_misspelt_name_gets_the_right_one() {
    let auth = "egress:\n  routes:\n    - host: a.example\n      auth: { scheme: WORD, token_ref: T }\n      pipelock: { tls_passthrough: true }\n";
    for (word, manifest) in [
        ("claude", "agent_provider: { template: WORD }\n"),
        ("codex", "agent_provider: { template: WORD }\n"),
        ("Bearer", auth),
        ("token", auth),
        ("Basic", auth),
    ] {
        for wrong in misspellings(word) {
            let compiled = compile_text(&manifest.replace("WORD", &format!("\"{wrong}\"")));
            if wrong == word {
                continue;
            }
            assert_eq!(compiled.codes.len(), 1, "{wrong} {:?}", compiled.messages);
            assert!(
                compiled.messages[0].ends_with(&format!("(did you mean `{word}`?)")),
                "{wrong} {:?}",
                compiled.messages
            );
        }
    }
}

#[test]
fn one_edit_is_told_from_none_and_from_two() {
    for word in ["auth", "aab", "größe", "x"] {
        assert!(!is_one_edit_away(word, word));
        for once in misspellings(word).into_iter().filter(|once| once != word) {
            assert!(is_one_edit_away(word, &once) && is_one_edit_away(&once, word), "{word} {once}");
        }
    }
    for (one, other) in [("abcd", "badc"), ("ab", "ba1"), ("ab", ""), ("abc", "cba"), ("ö", "oo"), ("a", "bc")] {
        assert!(!is_one_edit_away(one, other) && !is_one_edit_away(other, one), "{one} {other}");
    }
}
