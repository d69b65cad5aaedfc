//! A stream of bytes produced elsewhere (a thread at standard input, a GET in flight): responsible
//! for handing it to a reader without ever blocking it for longer than [`PATIENCE`], so that a
//! quiet stream can still be flushed, and a stop obeyed, in time.
//!
//! Memory: [`PIECES`] pieces of at most [`PIECE_BYTES`] each wait in a pipe.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// How long a read waits before it reports [`io::ErrorKind::WouldBlock`].
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);
/// Pieces that wait in a pipe until its producer waits, too.
pub(crate) const PIECES: usize = 16;
/// Bytes of the largest piece a producer puts into a pipe.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// What travels through a pipe.
pub(crate) type Piece = Result<Bytes, io::Error>;

/// The reading end.
pub(crate) struct Pipe {
    runtime: Handle,
    receiver: mpsc::Receiver<Piece>,
    current: Bytes,
}

impl Pipe {
    /// A pipe and the end its producer writes to. Dropping that end is the end of the stream.
    pub(crate) fn new(runtime: Handle) -> (Self, mpsc::Sender<Piece>) {
        let (sender, receiver) = mpsc::channel(PIECES);
        (Self { runtime, receiver, current: Bytes::new() }, sender)
    }

    /// Standard input. The thread that reads it cannot be interrupted: after a stop it stays behind,
    /// blocked and harmless, until the process ends.
    pub(crate) fn stdin(runtime: Handle) -> Self {
        Self::fed_by(runtime, || Ok(Box::new(io::stdin())))
    }

    /// A FIFO or device, opened where blocking harms nobody.
    pub(crate) fn stream(runtime: Handle, path: &Path) -> Self {
        let path = path.to_owned();
        Self::fed_by(runtime, move || Ok(Box::new(std::fs::File::open(path)?)))
    }

    fn fed_by(
        runtime: Handle,
        open: impl FnOnce() -> io::Result<Box<dyn Read>> + Send + 'static,
    ) -> Self {
        let (pipe, sender) = Self::new(runtime);
        std::thread::spawn(move || {
            let mut source = match open() {
                Ok(source) => source,
                Err(error) => {
                    // Nobody left to tell if the receiver is gone.
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            let mut buffer = vec![0; PIECE_BYTES];
            loop {
                let piece = match source.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => Ok(Bytes::copy_from_slice(&buffer[..count])),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = piece.is_err();
                if sender.blocking_send(piece).is_err() || failed {
                    return;
                }
            }
        });
        pipe
    }
}

impl Read for Pipe {
    /// Must not be called from within the runtime: it waits.
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            // A piece that waits is taken without waking the runtime.
            let piece = match self.receiver.try_recv() {
                Ok(piece) => Some(piece),
                Err(mpsc::error::TryRecvError::Disconnected) => None,
                Err(mpsc::error::TryRecvError::Empty) => {
                    let receiver = &mut self.receiver;
                    let waited = self
                        .runtime
                        .block_on(async { tokio::time::timeout(PATIENCE, receiver.recv()).await });
                    waited.map_err(|_| io::Error::from(io::ErrorKind::WouldBlock))?
                }
            };
            match piece {
                Some(piece) => self.current = piece?,
                None => return Ok(0),
            }
        }
        let count = target.len().min(self.current.len());
        target[..count].copy_from_slice(&self.current.split_to(count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_pipe_says_so_and_goes_on_where_it_was() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .expect("a runtime");
        let (mut pipe, sender) = Pipe::new(runtime.handle().clone());
        let mut target = [0; 4];
        sender.blocking_send(Ok(Bytes::from_static(b"hello"))).expect("sent");
        assert_eq!(pipe.read(&mut target).expect("bytes"), 4);
        assert_eq!(pipe.read(&mut target).expect("bytes"), 1);
        assert_eq!(pipe.read(&mut target).expect_err("quiet").kind(), io::ErrorKind::WouldBlock);
        sender.blocking_send(Ok(Bytes::from_static(b"!"))).expect("sent");
        assert_eq!(pipe.read(&mut target).expect("bytes"), 1);
        sender.blocking_send(Err(io::Error::other("reset"))).expect("sent");
        assert_eq!(pipe.read(&mut target).expect_err("an error").to_string(), "reset");
        drop(sender);
        assert_eq!(pipe.read(&mut target).expect("the end"), 0);
    }
}
