//! A TCP line between two parts of the exchange that fails in the ways real ones do.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
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
    /// Half-open: neither side hears anything of the other, and neither is told. What was sent comes when the line is
    /// clear again.
    Silent,
    /// What is asked arrives; the first byte of the answer breaks the line.
    LoseReplies,
    /// Every line breaks at once, and new ones as soon as they stand.
    Reset,
}

/// The line; whoever dials its address is led to the other end.
pub struct Cable {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    broken: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Cable {
    /// A line to `far`, such as `127.0.0.1:5432`.
    pub async fn to(far: &str) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (fault, seen) = watch::channel(Fault::Clear);
        let broken = Arc::new(AtomicUsize::new(0));
        let (far, breaks) = (far.to_owned(), broken.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(join(near, far.clone(), seen.clone(), breaks.clone()));
            }
        });
        Cable { address, fault, broken, accepting }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// How many lines it has broken.
    pub fn broken(&self) -> usize {
        self.broken.load(Relaxed)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn join(mut near: TcpStream, far: String, fault: watch::Receiver<Fault>, broken: Arc<AtomicUsize>) {
    let Ok(mut far) = TcpStream::connect(far).await else { return };
    drop((near.set_nodelay(true), far.set_nodelay(true)));
    let (near_in, near_out) = near.split();
    let (far_in, far_out) = far.split();
    let (asked, answered) = (fault.clone(), fault);
    let was_broken = tokio::select! {
        was_broken = carry(near_in, far_out, asked, false) => was_broken,
        was_broken = carry(far_in, near_out, answered, true) => was_broken,
    };
    if was_broken {
        // Told by RST, as when the other machine knows of no such line.
        drop((near.set_zero_linger(), far.set_zero_linger()));
        broken.fetch_add(1, Relaxed);
    }
}

/// Carries one direction until it ends or breaks; whether a fault broke it.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    mut fault: watch::Receiver<Fault>,
    is_answer: bool,
) -> bool {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            changed = fault.wait_for(|fault| *fault == Fault::Reset) => return changed.is_ok(),
        };
        let count = match read {
            Ok(count @ 1..) => count,
            _ => return false,
        };
        loop {
            let now = *fault.borrow_and_update();
            match now {
                Fault::Clear => break,
                Fault::Slow(by) => {
                    sleep(by).await;
                    break;
                }
                Fault::LoseReplies if !is_answer => break,
                Fault::LoseReplies | Fault::Reset => return true,
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
