//! Everything that runs in a minute, in one program: each file is a module. `cargo test --test quick golden` runs one.

mod support;

mod action;
mod agreement;
mod architecture;
mod batch;
mod build_check;
mod check;
mod codex_credentials;
mod commands;
mod consumed_files;
mod consumers;
mod corpus;
mod diagnostics;
mod documents;
mod egress_routes;
mod exec;
mod golden;
mod hostile_tree;
mod manifest_rules;
mod output_tree;
mod policy;
mod provenance;
mod provider_plans;
mod reading;
mod release;
mod rendering;
mod reproducible;
mod review_page;
mod revision;
mod schema;
mod screen;
mod strict_yaml;
mod suggestions;
mod supply_chain;
mod why;
