//! Where a client keeps its own credentials on the host.

/// A client's own credential file on the host.
#[derive(Debug, PartialEq, Eq)]
pub struct CredentialFile {
    /// The host variable that names the client's folder.
    pub folder_variable: &'static str,
    /// The file in that folder.
    pub name: &'static str,
    /// The file under the user's home when the variable is unset.
    pub in_home: &'static str,
    /// Where the token is in it (a JSON pointer, RFC 6901).
    pub token_pointer: &'static str,
}
