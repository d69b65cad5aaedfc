//! Free ports of this machine, and waiting until a server that was just started answers on one.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

/// An address on which nobody listens now.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound port")
}

/// Waits until `check` holds for an open connection, for at most 30 seconds. Returns whether it did.
pub(crate) fn answers(address: SocketAddr, check: impl Fn(TcpStream) -> bool) -> bool {
    for _ in 0..600 {
        if let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(100))
            && check(connection)
        {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}
