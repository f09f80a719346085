//! The movable clock of drills, demos and tests. In production none of this is served.

use std::{fs, path::PathBuf};

use kernel::{Clock, Db, Error, Peer};
use tonic::{Request, Response, Status};
use wire::v1::{self, drill_client::DrillClient, drill_server::DrillServer};

use gateway::{ClockMove, ClockPosition};

use crate::{Result, config::Config, database::Databases, private, roles::Roles};

/// The clock of this process, and where its position is kept.
#[derive(Clone)]
pub struct Drill {
    clock: Clock,
    databases: Vec<Db>,
    /// Keeps the position of a process that has no database.
    file: PathBuf,
}

impl Drill {
    /// Takes up the position in which the clock was left.
    pub async fn resume(config: &Config, databases: &Databases, clock: &Clock) -> Result<Drill> {
        let file = config.data_dir.join("drill-offset");
        let drill = Drill { clock: clock.clone(), databases: databases.connections(), file };
        let mut offset = 0;
        for db in &drill.databases {
            offset = kernel::load_drill_offset(db).await?.max(offset);
        }
        if drill.databases.is_empty() {
            offset = fs::read_to_string(&drill.file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        }
        clock.set_offset(offset);
        Ok(drill)
    }

    /// Saves the position first: a process killed in between wakes up in the new time.
    async fn move_to(&self, offset_millis: i64) -> kernel::Result<()> {
        for db in &self.databases {
            kernel::save_drill_offset(db, offset_millis).await?;
        }
        if self.databases.is_empty() {
            let kept = self.file.parent().map_or(Ok(()), private::folder);
            let kept = kept.and_then(|()| fs::write(&self.file, offset_millis.to_string()));
            kept.map_err(|error| Error::Unavailable(format!("{}: {error}", self.file.display())))?;
        }
        self.clock.set_offset(offset_millis);
        Ok(())
    }

    /// The gRPC side: another process moves this one's clock.
    pub fn serve(self) -> DrillServer<Drill> {
        DrillServer::new(self)
    }

    /// Every clock of the exchange, this process's and those elsewhere.
    pub fn everywhere(self, config: &Config, roles: &Roles) -> Result<Everywhere> {
        let mut urls: Vec<&str> = Vec::new();
        let mut others = Vec::new();
        for url in roles.elsewhere().flat_map(|role| config.peers(role)) {
            // A process has one clock, however many roles; every replica has its own.
            if !urls.contains(&url) {
                urls.push(url);
                others.push(DrillClient::new(kernel::remote(url, &config.peer_secret)?));
            }
        }
        Ok(Everywhere { here: self, others })
    }
}

/// All clocks of the exchange.
pub struct Everywhere {
    here: Drill,
    others: Vec<DrillClient<Peer>>,
}

impl Everywhere {
    /// Moves them all. When one is away the others have moved already; the same call again puts that right.
    pub async fn move_clock(&self, to: ClockMove) -> kernel::Result<ClockPosition> {
        let clock = &self.here.clock;
        let offset_millis = match to {
            ClockMove::Offset(millis) => millis,
            ClockMove::To(instant) => instant.0.saturating_sub(clock.now().0).saturating_add(clock.offset()),
        };
        self.here.move_to(offset_millis).await?;
        for other in &self.others {
            other.clone().move_clock(v1::MoveClockRequest { offset_millis }).await?;
        }
        Ok(ClockPosition { now: clock.now(), offset_millis })
    }
}

#[tonic::async_trait]
impl v1::drill_server::Drill for Drill {
    async fn move_clock(&self, request: Request<v1::MoveClockRequest>) -> Result<Response<v1::ClockReading>, Status> {
        let offset_millis = request.into_inner().offset_millis;
        self.move_to(offset_millis).await?;
        Ok(Response::new(v1::ClockReading { now: Some(self.clock.now()), offset_millis }))
    }
}
