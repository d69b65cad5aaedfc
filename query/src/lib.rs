//! The `hearback` program: its commands, its configuration, its SQL engine and its reports.

pub mod activate;
pub mod cli;
pub mod config;
pub mod engine;
mod nearest;
pub mod ops;
pub mod output;
pub mod report;
