//! What the lake promises, tried on a store that fails when told to.

mod crashes;
mod dedupe;
mod faulty_store;
mod ledger;
mod log_readers;
mod many_days;
mod other_engines;
mod positions;
mod races;
mod rare_types;
mod rows;
