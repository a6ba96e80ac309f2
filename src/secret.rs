//! `Secret`: text that must not be shown, stored or sent.

use zeroize::Zeroizing;

/// Text of a credential. It can be looked at where it is needed and in no other way: there is no
/// `Debug`, `Display`, `Serialize` or `Clone`, and the memory is overwritten when it goes.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Secret(Zeroizing::new(bytes))
    }

    /// The bytes, for whoever parses them. Nothing of them may go into a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}
