//! A dry run judges by the catalog's own rules, not by a copy of them: it imports into a database that is thrown away.

use identity::{CENTRE_INDUSTRY, SeedOrganization};
use kernel::{Actor, Clock, Context, Db, Error, Result, Vault};
use tempfile::TempDir;
use wire::{
    Clients,
    v1::{self, CentreTier, OrganizationKind},
};

use crate::offline::clients;

/// A code that no organization can have: 999999 is no region.
const HUB: &str = "Y1999999000000000T";

/// A database with one organization, and the two services that an import asks.
pub struct Scratch {
    /// Its services.
    pub clients: Clients,
    /// The organization's id there.
    pub organization_id: String,
    db: Db,
    _folder: TempDir,
}

impl Scratch {
    /// A new one, in the folder for temporary files, with a likeness of the organization.
    pub async fn with(likeness: &v1::Organization) -> Result<Scratch> {
        let folder = tempfile::tempdir().map_err(|error| Error::Internal(error.to_string()))?;
        let db = Db::connect(&format!("sqlite://{}", folder.path().join("scratch.db").display())).await?;
        migrations::migrate(&db).await?;
        let cx = Context::open("identity", db.clone(), Clock::system(), Vault::development()).await?;
        let centre = SeedOrganization {
            name: "试运行 dry run".into(),
            kind: OrganizationKind::ExchangeCentre,
            usci: HUB.into(),
            region: likeness.region.clone(),
            legal_representative: "—".into(),
            industry: CENTRE_INDUSTRY.into(),
            tier: None,
            centre: None,
            members: Vec::new(),
        };
        // Only what the records are judged by matters; a centre's likeness is no second hub.
        let organization = SeedOrganization {
            name: likeness.name.clone(),
            kind: likeness.kind(),
            usci: likeness.usci.clone(),
            tier: Some(CentreTier::Branch),
            ..centre.clone()
        };
        identity::seed(&cx, &[centre, organization]).await?;
        let clients = clients(&cx, &cx.with_service("catalog"), &cx.with_service("financing"));
        let wanted = v1::ListOrganizationsRequest { search: Some(likeness.usci.clone()), ..Default::default() };
        let found =
            clients.identity.clone().list_organizations(Actor::exchange().asks(wanted)).await?.into_inner().items;
        let found = found.into_iter().next().ok_or_else(|| Error::not_found("organization"))?;
        Ok(Scratch { clients, organization_id: found.id, db, _folder: folder })
    }

    /// Lets go of the files before their folder goes.
    pub async fn close(self) -> Result<()> {
        self.db.close().await
    }
}
