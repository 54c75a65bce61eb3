//! Reads a stream ahead in a thread of its own, so that one side decompresses while the other compresses.

use std::io::{self, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

/// Length of one buffer in bytes; small enough that the allocator reuses it.
const CHUNK: usize = 64 << 10;

/// How many buffers may wait.
const WAITING: usize = 8;

/// A stream that is read ahead.
#[derive(Debug)]
pub(crate) struct Ahead {
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
}

impl Ahead {
    /// Start reading `inner`. The thread ends with the stream, or when nobody reads any more.
    pub(crate) fn new(mut inner: Box<dyn Read + Send>) -> Self {
        let (send, chunks) = sync_channel(WAITING);
        thread::spawn(move || {
            loop {
                let mut chunk = Vec::with_capacity(CHUNK);
                let read = (&mut inner).take(CHUNK as u64).read_to_end(&mut chunk);
                let last = chunk.is_empty() || read.is_err();
                if send.send(read.map(|_| chunk)).is_err() || last {
                    return;
                }
            }
        });
        Self { chunks, chunk: Vec::new(), at: 0 }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            // No more chunks: the stream has ended.
            self.chunk = self.chunks.recv().unwrap_or_else(|_| Ok(Vec::new()))?;
            self.at = 0;
        }
        let read = (&self.chunk[self.at..]).read(buffer)?;
        self.at += read;
        Ok(read)
    }
}
