//! Provider and manifest together: the routes of egress and the variables of the agent.

pub mod egress;
pub mod environment;
