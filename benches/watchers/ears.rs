//! What thousands of sockets hear, in one thread that does little else: a client that is busier than the server would
//! measure itself. It looks at all of them once a millisecond, and as often it is late by up to that.

use std::{
    io::{Cursor, ErrorKind, Read, Write},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use jishi::Result;
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame, FrameHeader,
    coding::{Control, Data, OpCode},
};

/// Between two looks.
const GRAIN: Duration = Duration::from_millis(1);

/// One frame at one watcher.
pub struct Heard {
    pub watcher: usize,
    pub at: Instant,
    /// The number in it.
    pub seq: i64,
    /// The whole of it, from the first watcher.
    pub text: Option<String>,
}

/// All sockets.
pub struct Ears(Arc<Shared>);

#[derive(Default)]
struct Shared {
    heard: Mutex<Vec<Heard>>,
    /// With so many somebody goes on.
    wanted: AtomicUsize,
    enough: Notify,
    over: AtomicBool,
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.0.over.store(true, SeqCst);
    }
}

impl Ears {
    /// Begins to listen.
    pub fn open(sockets: Vec<tokio::net::TcpStream>) -> Result<Ears> {
        let poll = Poll::new()?;
        let mut ears = Vec::with_capacity(sockets.len());
        for (watcher, socket) in sockets.into_iter().enumerate() {
            let mut stream = TcpStream::from_std(socket.into_std()?);
            poll.registry().register(&mut stream, Token(watcher), Interest::READABLE)?;
            ears.push(Ear { stream, read: Vec::new() });
        }
        let shared = Arc::new(Shared::default());
        let told = shared.clone();
        std::thread::spawn(move || told.listen(poll, &mut ears));
        Ok(Ears(shared))
    }

    /// All that was heard, once it is so much.
    pub async fn heard(&self, count: usize) -> Vec<Heard> {
        self.0.wanted.store(count, SeqCst);
        loop {
            {
                let mut heard = self.0.heard();
                if heard.len() >= count {
                    return std::mem::take(&mut *heard);
                }
            }
            self.0.enough.notified().await;
        }
    }
}

impl Shared {
    fn heard(&self) -> std::sync::MutexGuard<'_, Vec<Heard>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self, mut poll: Poll, ears: &mut [Ear]) {
        let (mut events, mut room) = (Events::with_capacity(1_024), vec![0; 16 * 1_024]);
        while !self.over.load(SeqCst) {
            if poll.poll(&mut events, Some(Duration::from_millis(100))).is_err() {
                return;
            }
            let mut heard = Vec::new();
            for event in &events {
                let watcher = event.token().0;
                let Some(ear) = ears.get_mut(watcher) else { continue };
                ear.hear(&mut room, |text| {
                    let whole = (watcher == 0).then(|| text.to_owned());
                    heard.push(Heard {
                        watcher,
                        at: Instant::now(),
                        seq: number(text).unwrap_or_default(),
                        text: whole,
                    });
                });
            }
            let mut all = self.heard();
            all.extend(heard);
            if all.len() >= self.wanted.load(SeqCst) {
                self.enough.notify_one();
            }
            drop(all);
            std::thread::sleep(GRAIN);
        }
    }
}

struct Ear {
    stream: TcpStream,
    /// What has come of a frame that is not whole.
    read: Vec<u8>,
}

impl Ear {
    /// Takes what has come: texts are told, pings are answered.
    fn hear(&mut self, room: &mut [u8], mut tell: impl FnMut(&str)) {
        loop {
            match self.stream.read(room) {
                Ok(count @ 1..) => {
                    self.read.extend_from_slice(room.get(..count).unwrap_or_default());
                    if count < room.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        let mut cursor = Cursor::new(std::mem::take(&mut self.read));
        let mut taken = 0;
        while let Ok(Some((header, length))) = FrameHeader::parse(&mut cursor) {
            let start = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
            let Some(payload) = cursor.get_ref().get(start..end) else { break };
            match header.opcode {
                OpCode::Data(Data::Text) => tell(std::str::from_utf8(payload).unwrap_or_default()),
                OpCode::Control(Control::Ping) => {
                    let mut pong = Frame::pong(payload.to_vec());
                    pong.header_mut().mask = Some([0; 4]);
                    let mut bytes = Vec::new();
                    // Who gets no pong ends the socket.
                    drop(pong.format(&mut bytes).map(|()| self.stream.write(&bytes)));
                }
                _ => {}
            }
            taken = end;
            cursor.set_position(u64::try_from(end).unwrap_or_default());
        }
        self.read = cursor.into_inner();
        self.read.drain(..taken);
    }
}

/// The first number of an event or a state in a frame.
fn number(frame: &str) -> Option<i64> {
    let (_, rest) = frame.split_once("\"seq\":")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}
