//! A TCP line between two parts of the exchange that fails in the ways real ones do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// What befalls the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    Clear,
    /// They come later.
    Slow(Duration),
    /// Half-open: neither side hears anything of the other, and neither is told, not even that the far one has ended. What
    /// was sent comes when the line is clear again.
    Silent,
    /// What is asked arrives; the first byte of the answer breaks the line.
    LoseReplies,
    /// Every line breaks at once, and new ones as soon as they stand.
    Reset,
    /// A line on which PostgreSQL is spoken fails at this moment of a transaction, and no other does.
    At(Moment, Cut),
}

/// A moment of a transaction, as the bytes that go by tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It is begun.
    Begin,
    /// Something is done in it.
    Statement,
    /// It is ended for good.
    Commit,
    /// It is one statement, which ends it for good.
    Alone,
}

impl Moment {
    pub const ALL: [Moment; 4] = [Moment::Begin, Moment::Statement, Moment::Commit, Moment::Alone];
}

/// How a line fails at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It breaks, and what was sent does not arrive.
    Before,
    /// What was sent arrives; the first byte of the answer breaks the line.
    After,
    /// It is half-open until the fault changes; if the line is clear then, what was sent comes late.
    Silent,
}

/// The line; whoever dials its address is led to the other end.
pub struct Cable {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    broken: Arc<AtomicUsize>,
    far: String,
    accepting: JoinHandle<()>,
    /// What befalls the lines that led elsewhere.
    deserted: Vec<watch::Sender<Fault>>,
}

impl Cable {
    /// A line to `far`, such as `127.0.0.1:5432`.
    pub async fn to(far: &str) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, seen) = watch::channel(Fault::Clear);
        let broken = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(accept(listener, far.to_owned(), seen, broken.clone()));
        Cable { address, fault, broken, far: far.to_owned(), accepting, deserted: Vec::new() }
    }

    /// Every line breaks, and nobody listens any more: whoever dials is refused.
    pub async fn refuse(&mut self) {
        self.set(Fault::Reset);
        self.accepting.abort();
        // The listener is closed when the task is gone.
        drop((&mut self.accepting).await);
    }

    /// Listens again, and nothing befalls the bytes.
    pub async fn listen(&mut self) {
        self.set(Fault::Clear);
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accepting = tokio::spawn(accept(listener, self.far.clone(), self.fault.subscribe(), self.broken.clone()));
    }

    /// Whoever dials from now on is led to another end; what befell the lines of before goes on to befall them.
    pub async fn move_to(&mut self, far: &str) {
        self.accepting.abort();
        drop((&mut self.accepting).await);
        far.clone_into(&mut self.far);
        self.deserted.push(std::mem::replace(&mut self.fault, watch::Sender::new(Fault::Clear)));
        self.listen().await;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many lines it has broken or silenced at a moment.
    pub fn broken(&self) -> usize {
        self.broken.load(Relaxed)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, far: String, fault: watch::Receiver<Fault>, broken: Arc<AtomicUsize>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(join(near, far.clone(), fault.clone(), broken.clone()));
    }
}

async fn join(mut near: TcpStream, far: String, mut fault: watch::Receiver<Fault>, broken: Arc<AtomicUsize>) {
    let Ok(mut far) = TcpStream::connect(far).await else { return unheard(&mut fault).await };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let (near_in, near_out) = near.split();
    let (far_in, far_out) = far.split();
    let met = Met::default();
    let side = |is_answer| Side { is_answer, met: &met, broken: &broken, is_open: false, writes: false };
    let was_broken = tokio::select! {
        was_broken = carry(near_in, far_out, fault.clone(), side(false)) => was_broken,
        was_broken = carry(far_in, near_out, fault, side(true)) => was_broken,
    };
    if was_broken {
        // Told by RST, as when the other machine knows of no such line.
        drop((near.set_zero_linger(), far.set_zero_linger()));
        broken.fetch_add(1, Relaxed);
    }
}

/// Waits as long as nothing is heard.
async fn unheard(fault: &mut watch::Receiver<Fault>) {
    drop(fault.wait_for(|fault| *fault != Fault::Silent).await);
}

/// What a moment has done to a line.
#[derive(Default)]
struct Met {
    /// The next answer breaks it.
    loses_reply: AtomicBool,
    /// No answer comes until the fault changes.
    is_silent: AtomicBool,
}

/// One direction of one line.
struct Side<'a> {
    is_answer: bool,
    met: &'a Met,
    broken: &'a AtomicUsize,
    /// Whether a transaction is open.
    is_open: bool,
    /// Whether transactions are begun on it.
    writes: bool,
}

impl Side<'_> {
    /// The moment at which these bytes are sent, if it is one. BEGIN and COMMIT are simple queries, beside others or alone; a
    /// statement that is alone asks for the name of the transaction when it is prepared, and is bound (`B`) outside of any.
    fn moment(&mut self, bytes: &[u8]) -> Option<Moment> {
        let says = |word: &[u8]| bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
        let is_simple = !self.is_answer && bytes.first() == Some(&b'Q');
        self.writes |= !self.is_answer && (is_simple && says(b"BEGIN") || says(b"jishi.transaction"));
        let moment = match () {
            () if self.is_answer => None,
            () if is_simple && says(b"COMMIT") => Some(Moment::Commit),
            () if is_simple && says(b"BEGIN") => Some(Moment::Begin),
            () if is_simple && says(b"ROLLBACK") => None,
            () if !self.is_open && self.writes && bytes.first() == Some(&b'B') => Some(Moment::Alone),
            () => self.is_open.then_some(Moment::Statement),
        };
        self.is_open = matches!(moment, Some(Moment::Begin | Moment::Statement));
        moment
    }
}

/// Carries one direction until it ends or breaks; whether a fault broke it.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut fault: watch::Receiver<Fault>,
    mut side: Side<'_>,
) -> bool {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            changed = fault.wait_for(|fault| *fault == Fault::Reset) => return changed.is_ok(),
        };
        let count = match read {
            Ok(count @ 1..) => count,
            _ => {
                if side.is_answer {
                    unheard(&mut fault).await;
                }
                return false;
            }
        };
        let moment = side.moment(&bytes[..count]);
        if side.is_answer && side.met.loses_reply.load(Relaxed) {
            return true;
        }
        while side.is_answer && side.met.is_silent.load(Relaxed) && matches!(*fault.borrow_and_update(), Fault::At(..))
        {
            if fault.changed().await.is_err() {
                return false;
            }
        }
        loop {
            let now = *fault.borrow_and_update();
            match now {
                Fault::Clear => break,
                Fault::Slow(by) => {
                    sleep(by).await;
                    break;
                }
                Fault::LoseReplies if !side.is_answer => break,
                Fault::LoseReplies | Fault::Reset => return true,
                Fault::At(at, cut) if moment == Some(at) => match cut {
                    Cut::Before => return true,
                    Cut::After => {
                        side.met.loses_reply.store(true, Relaxed);
                        break;
                    }
                    Cut::Silent => {
                        side.broken.fetch_add(1, Relaxed);
                        side.met.is_silent.store(true, Relaxed);
                        if fault.changed().await.is_err() {
                            return false;
                        }
                        side.met.is_silent.store(false, Relaxed);
                    }
                },
                Fault::At(..) => break,
                Fault::Silent => {
                    if fault.changed().await.is_err() {
                        return false;
                    }
                }
            }
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return false;
        }
    }
}

#[tokio::test]
async fn a_cable_fails_as_told() {
    let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let far = echo.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = echo.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = stream.into_split();
                drop(tokio::io::copy(&mut from, &mut to).await);
            });
        }
    });
    let cable = Cable::to(&far).await;
    let mut near = TcpStream::connect(cable.address()).await.unwrap();
    let mut byte = [0];
    near.write_all(b"a").await.unwrap();
    near.read_exact(&mut byte).await.unwrap();
    cable.set(Fault::Silent);
    near.write_all(b"b").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), near.read_exact(&mut byte)).await.is_err());
    cable.set(Fault::Clear);
    near.read_exact(&mut byte).await.unwrap();
    assert_eq!(byte, *b"b");
    cable.set(Fault::LoseReplies);
    near.write_all(b"c").await.unwrap();
    assert_eq!(near.read(&mut byte).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    cable.set(Fault::Reset);
    let mut near = TcpStream::connect(cable.address()).await.unwrap();
    assert!(near.read(&mut byte).await.is_err());
    assert_eq!(cable.broken(), 2);
}
