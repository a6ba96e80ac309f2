//! Any text as a host: what is taken has one spelling, which every hop compares.

use bottlec::value::host::Host;

/// Reads the text as a host.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let host = match Host::parse(text) {
        Ok(host) => host,
        Err(refusal) => return super::manifest::one_line(&[&refusal.message, &refusal.help]),
    };
    let name = host.as_str();
    assert_eq!(Host::parse(name).as_ref(), Ok(&host), "its own spelling means another host");
    assert_eq!(Host::parse(&format!("{name}.")).as_ref(), Ok(&host), "a dot at the end changes it");
    assert_eq!(Host::parse(&name.to_ascii_uppercase()).as_ref(), Ok(&host), "capitals change it");
    assert_eq!(text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase(), name, "it is not what was written");
    // The expression of `addon.py`, and the limits of DNS.
    assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)), "{name}");
    assert!(name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len())), "{name}");
    // A URL must not take it for an address, nor spell it in another way.
    assert_eq!(idna::domain_to_ascii(name).ok().as_deref(), Some(name), "clients ask for another name");
}
