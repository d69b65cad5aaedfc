//! An S3 server that is not ours: moto, over the network.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::loopback::{answers, free_address};
use crate::{python, python::run};

/// A running S3 server on a free loopback port; it ends when dropped.
pub struct S3Server {
    process: Child,
    address: SocketAddr,
}

impl S3Server {
    /// Starts the server and makes `bucket`.
    ///
    /// # Panics
    /// When it does not come up within 30 seconds.
    #[must_use]
    pub fn start(bucket: &str) -> Self {
        let address = free_address();
        let process = Command::new(python())
            .args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto starts");
        let server = Self { process, address };
        assert!(answers(address, |_| true), "moto does not listen on {address}");
        server.boto(&format!("s3.create_bucket(Bucket={bucket:?})"));
        server
    }

    /// The variables that make an AWS client use this server.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Runs Python statements with `s3` being AWS's own Python client of this server.
    ///
    /// # Panics
    /// When they fail.
    pub fn boto(&self, statements: &str) -> String {
        let program = format!("import boto3\ns3 = boto3.client('s3')\n{statements}\n");
        run(&program, &self.environment())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
