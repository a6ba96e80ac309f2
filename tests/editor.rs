//! What an editor shows of a manifest: the schema given to yaml-language-server, which editors use for YAML.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{bottlec, programs, screen};

/// A language server on its own.
struct Server {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    requests: u32,
}

impl Server {
    fn start(program: &Path) -> Server {
        let mut child =
            Command::new(program).arg("--stdio").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut server = Server { child, to, from, requests: 0 };
        let shows = json!({
            "completion": { "completionItem": { "snippetSupport": true, "documentationFormat": ["markdown"] } },
            "hover": { "contentFormat": ["markdown"] },
        });
        server.ask(
            "initialize",
            json!({ "processId": null, "rootUri": null, "capabilities": { "textDocument": shows } }),
        );
        server.send(&json!({ "method": "initialized", "params": {} }));
        server
    }

    fn send(&mut self, message: &Value) {
        let mut message = message.clone();
        message["jsonrpc"] = "2.0".into();
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn next(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.from.read_line(&mut line).unwrap() > 0, "the server has ended");
            match line.trim().split_once(": ") {
                Some(("Content-Length", number)) => length = number.parse().unwrap(),
                Some(_) => {}
                None => break,
            }
        }
        let mut text = vec![0; length];
        self.from.read_exact(&mut text).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// The first message that is looked for. Questions of the server are answered on the way: no settings.
    fn wait(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next();
            if message.get("method").is_some() && message.get("id").is_some() {
                let settings = message["params"]["items"].as_array().map(|items| vec![json!({}); items.len()]);
                self.send(&json!({ "id": message["id"], "result": settings }));
            } else if is_it(&message) {
                return message;
            }
        }
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        self.send(&json!({ "id": id, "method": method, "params": params }));
        self.wait(|message| message["id"] == id)["result"].take()
    }

    /// Opens a file; what is wrong with it.
    fn open(&mut self, path: &Path, text: &str) -> Vec<String> {
        let uri = uri(path);
        let file = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.send(&json!({ "method": "textDocument/didOpen", "params": { "textDocument": file } }));
        let said = self.wait(|message| {
            message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri.as_str()
        });
        let said = said["params"]["diagnostics"].as_array().unwrap();
        said.iter().map(|one| one["message"].as_str().unwrap().to_owned()).collect()
    }

    /// What it offers at the end of a text: each word, what it would write, and what it says of it.
    fn offered(&mut self, path: &Path, text: &str) -> Vec<(String, String, String)> {
        self.open(path, text);
        let last = text.lines().last().unwrap();
        let place = json!({ "line": text.lines().count() - 1, "character": last.len() });
        let offered =
            self.ask("textDocument/completion", json!({ "textDocument": { "uri": uri(path) }, "position": place }));
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let items = offered["items"].as_array().unwrap().iter();
        items.map(|item| (text(item, "label"), text(item, "insertText"), text(item, "documentation"))).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// A folder in which `init` was run, and the manifest that it wrote.
fn fresh(template: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let run = bottlec(folder.path(), &["init", "--template", template]);
    assert!(run.status.success(), "{}", screen(&run));
    let text = std::fs::read_to_string(folder.path().join("bottle.yaml")).unwrap();
    (folder, text)
}

const SCHEMA: &str = "# yaml-language-server: $schema=bottle.schema.json\n";

#[test]
fn a_fresh_manifest_has_nothing_wrong_without_another_command() {
    for program in programs("BOTTLEC_YAML_LANGUAGE_SERVER_BINS") {
        let mut server = Server::start(&program);
        for template in ["claude", "codex"] {
            let (folder, text) = fresh(template);
            let said = server.open(&folder.path().join("bottle.yaml"), &text);
            assert!(said.is_empty(), "{template} {said:?}");
            // It has read the schema.
            let said = server.open(&folder.path().join("other.yaml"), &(text + "nme: x\n"));
            assert_eq!(said, ["Property nme is not allowed."], "{template}");
        }
    }
}

#[test]
fn an_editor_says_how_to_mend_what_a_pattern_refuses() {
    for program in programs("BOTTLEC_YAML_LANGUAGE_SERVER_BINS") {
        let (folder, _) = fresh("claude");
        let mut server = Server::start(&program);
        let route = |rest: &str| format!("egress:\n  routes:\n    - host: {rest}\n");
        for (number, (manifest, words)) in [
            ("name: Bad_Name\n".to_owned(), "use at most 40 lower-case letters"),
            ("env: { 1x: a }\n".to_owned(), "use letters, digits and `_`"),
            ("network: { subnet: 10.1.1.1 }\n".to_owned(), "write a range such as `10.200.7.0/24`"),
            (route("https://a.example"), "write a DNS name such as `api.example.com`, without scheme"),
            (route("a.example\n      path_allowlist: [v1]"), "start with `/`"),
        ]
        .into_iter()
        .enumerate()
        {
            let path = folder.path().join(format!("{number}.yaml"));
            let said = server.open(&path, &format!("{SCHEMA}{manifest}"));
            assert!(said.len() == 1 && said[0].contains(words) && !said[0].contains('^'), "{manifest} {said:?}");
        }
    }
}

#[test]
fn an_editor_offers_words_with_what_each_is_and_writes_no_default() {
    for program in programs("BOTTLEC_YAML_LANGUAGE_SERVER_BINS") {
        let (folder, _) = fresh("claude");
        let mut server = Server::start(&program);
        let path = folder.path().join("template.yaml");
        let offered = server.offered(&path, &format!("{SCHEMA}agent_provider:\n  template: "));
        let says = |word: &str| &offered.iter().find(|(label, ..)| label == word).unwrap().2;
        assert!(says("claude").contains("@anthropic-ai/claude-code") && says("claude").contains("auth_token"));
        assert!(says("codex").contains("@openai/codex") && says("codex").contains("forward_host_credentials"));

        let path = folder.path().join("top.yaml");
        let offered = server.offered(&path, &format!("{SCHEMA}name: top\nagent"));
        let (_, written, _) = offered.iter().find(|(label, ..)| label == "agent_provider").unwrap();
        assert!(written.contains("template:") && !written.contains("forward_host_credentials"), "{written}");
    }
}
