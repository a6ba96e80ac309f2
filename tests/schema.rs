//! The committed schema is the one that the types make. `UPDATE=1 cargo test` rewrites it.

use std::fs;
use std::path::Path;

use bottlec::manifest::schema;

#[test]
fn committed_schema_is_made_from_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/bottle.schema.json");
    let made = schema::generate();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(
        committed == made,
        "schema/bottle.schema.json is not what the types say; run: UPDATE=1 cargo test --test schema"
    );
}
