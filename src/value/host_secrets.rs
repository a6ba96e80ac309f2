//! `HostSecrets`: what was read of the host's credentials and must be in no file. Every compiled tree is
//! searched for it before anything is written or printed; a find is a defect of whoever made the file.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;

use crate::text::render::RenderError;
use crate::text::source::Sources;
use crate::value::artifact::Artifact;
use crate::value::secret::Secret;

/// Values that must be in no file, each in every form that it is looked for in.
#[derive(Default)]
pub struct HostSecrets(Vec<Form>);

struct Form {
    encoding: &'static str,
    bytes: Secret,
    /// Whether the manifest may say it.
    is_particular: bool,
}

/// The length from which a value is looked for, in bytes. A shorter one is too likely to be a word of
/// ours, since a group may be called `workspace`; tokens and keys are longer.
const SHORTEST: usize = 16;

impl HostSecrets {
    /// A value that signs somebody in. No file may hold it, wherever it comes from.
    pub fn credential(&mut self, value: &str) {
        self.add(value, false);
    }

    /// Something about the account. A manifest may say it, the address of its author for one.
    pub fn particular(&mut self, value: &str) {
        self.add(value, true);
    }

    fn add(&mut self, value: &str, is_particular: bool) {
        let is_known = self.0.iter().any(|form| {
            form.encoding == PLAIN && form.is_particular == is_particular && form.bytes.expose() == value.as_bytes()
        });
        if value.len() >= SHORTEST && !is_known {
            self.0.extend(forms(value.as_bytes()).map(|(encoding, bytes)| Form { encoding, bytes, is_particular }));
        }
    }

    /// Looks for all of it in the files.
    ///
    /// # Errors
    /// A file holds a value in one of the forms. The words say which file and which form.
    pub fn refuse_in(&self, artifacts: &[Artifact], sources: &Sources) -> Result<(), RenderError> {
        for Form { encoding, bytes, is_particular } in &self.0 {
            // Borrows the value: a searcher that copies what it looks for would leave it in memory.
            let finder = memmem::Finder::new(bytes.expose());
            let holds = |text: &str| finder.find(text.as_bytes()).is_some();
            let Some(found) = artifacts.iter().find(|artifact| holds(&artifact.content)) else { continue };
            if !is_particular || !sources.ids().any(|id| holds(&sources.get(id).text)) {
                return Err(RenderError::new(
                    &found.path,
                    format!(
                        "it would hold a secret of the host's login file ({encoding}); if the manifest holds it, remove it there"
                    ),
                ));
            }
        }
        Ok(())
    }
}

const PLAIN: &str = "as it is";

fn forms(value: &[u8]) -> impl Iterator<Item = (&'static str, Secret)> + use<> {
    let hexadecimal = |lower: bool| {
        let digits: &[u8; 16] = if lower { b"0123456789abcdef" } else { b"0123456789ABCDEF" };
        // Sized at once: a vector that grows leaves copies behind.
        let mut text = Vec::with_capacity(2 * value.len());
        for byte in value {
            text.extend([digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
        text
    };
    let mut forms = vec![
        (PLAIN, Secret::new(value.to_vec())),
        ("in hexadecimal", Secret::new(hexadecimal(true))),
        ("in hexadecimal", Secret::new(hexadecimal(false))),
    ];
    for before in 0..3 {
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            let form = inner_base64(value, before, &engine);
            if !forms.iter().any(|(_, known)| known.expose() == form.expose()) {
                forms.push(("in base64", form));
            }
        }
    }
    forms.into_iter()
}

/// The base64 of a value after so many other bytes, without the characters at its ends that the bytes
/// beside it decide as well.
fn inner_base64(value: &[u8], before: usize, engine: &impl Engine) -> Secret {
    let mut bytes = Vec::with_capacity(before + value.len());
    bytes.resize(before, 0);
    bytes.extend(value);
    let bytes = Secret::new(bytes);
    let text = Secret::new(engine.encode(bytes.expose()).into_bytes());
    let (first, end) = ((8 * before).div_ceil(6), 8 * bytes.expose().len() / 6);
    Secret::new(text.expose()[first..end].to_vec())
}
