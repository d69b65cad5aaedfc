//! Stand-ins for services that no emulator has: `interop/stand_in.py`, which checks what it is sent.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::loopback::{answers, free_address};
use crate::python;

/// A running stand-in; it ends when dropped.
pub struct StandIn {
    process: Child,
    address: SocketAddr,
}

impl StandIn {
    /// Starts one of a kind: `profiles`, `webhook` or `lists`, the last in front of `behind`.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn start(kind: &str, behind: Option<&str>) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/stand_in.py");
        let address = free_address();
        let process = Command::new(python())
            .arg(program)
            .args([kind, &address.port().to_string()])
            .env("BEHIND", behind.unwrap_or_default())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("python starts");
        let stand_in = Self { process, address };
        assert!(answers(address, |_: TcpStream| true), "the stand-in does not come up");
        stand_in
    }

    /// Where it listens, as a URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What came, and what it has.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn state(&self) -> Value {
        let text = self.ask(None);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// Sets the faults of the requests from now on.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn script(&self, faults: &Value) {
        self.ask(Some(faults));
    }

    fn ask(&self, faults: Option<&Value>) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let client = reqwest::Client::new();
            let request = match faults {
                None => client.get(format!("{}/_state", self.endpoint())),
                Some(faults) => {
                    client.post(format!("{}/_script", self.endpoint())).body(faults.to_string())
                }
            };
            let answer = request.send().await.expect("the stand-in answers");
            answer.text().await.expect("text")
        })
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
