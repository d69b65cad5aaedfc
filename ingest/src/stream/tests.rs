//! What reading a stream promises, tried on a stream in memory with time that is paused.

mod memory_stream;
mod scenarios;
mod standby;
mod support;
