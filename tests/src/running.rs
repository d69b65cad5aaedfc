//! A process of the program that goes on while a test does other things.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// A running process; it is killed when dropped.
pub struct Running {
    process: RefCell<Child>,
    said: tempfile::NamedTempFile,
}

impl Running {
    pub(crate) fn new(process: Child, said: tempfile::NamedTempFile) -> Self {
        Self { process: RefCell::new(process), said }
    }

    /// What it has said on standard error so far.
    ///
    /// # Panics
    /// When the file that it is kept in cannot be read.
    #[must_use]
    pub fn said(&self) -> String {
        let bytes = std::fs::read(self.said.path()).expect("the file is there");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What it answers at a path of the address where it serves its metrics, once it says which.
    ///
    /// # Panics
    /// When it does not say within 30 seconds, or does not answer.
    #[must_use]
    pub fn get(&self, path: &str) -> String {
        let began = Instant::now();
        let address = loop {
            let said = self.said();
            let found = said.split_once("http://").and_then(|(_, rest)| rest.split_once('/'));
            if let Some((address, _)) = found {
                break address.to_owned();
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{said}");
            std::thread::sleep(Duration::from_millis(50));
        };
        let mut stream = TcpStream::connect(&address).expect("it listens");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")
            .expect("it takes requests");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.borrow().id()
    }

    /// Ends it at once, by SIGKILL.
    pub fn kill(&self) {
        let mut process = self.process.borrow_mut();
        let _ = process.kill();
        let _ = process.wait();
    }

    /// Waits until it ends; returns its exit code, None if it has not ended by then or was killed.
    ///
    /// # Panics
    /// When it cannot be waited for.
    #[must_use]
    pub fn wait(&self, longest: Duration) -> Option<i32> {
        let began = Instant::now();
        loop {
            let ended = self.process.borrow_mut().try_wait().expect("it can be waited for");
            if let Some(status) = ended {
                return status.code();
            }
            if began.elapsed() > longest {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends it a signal and waits until it ends.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    #[must_use]
    pub fn signal_and_wait(&self, signal: &str, longest: Duration) -> Option<i32> {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.expect("kill starts").success());
        self.wait(longest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}
