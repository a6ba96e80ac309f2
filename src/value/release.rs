//! Releases of the programs that read the output.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A release of pipelock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum PipelockTarget {
    /// pipelock 2.3 and later 2.x.
    #[default]
    #[serde(rename = "2.3")]
    V2_3,
    /// pipelock 3.x.
    #[serde(rename = "3")]
    V3,
}

/// A release of smolvm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum SmolvmTarget {
    /// smolvm 1.9 and later.
    #[default]
    #[serde(rename = "1.9")]
    V1_9,
    /// smolvm 1.33 and later.
    #[serde(rename = "1.33")]
    V1_33,
}
