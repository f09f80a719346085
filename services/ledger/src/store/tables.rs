//! Tables of the ledger.

use kernel::{Instant, Money};
use wire::{
    id::{
        AccountId, AwardId, BankReceiptId, DealId, DepositId, ForfeitureId, ListingId, OrganizationId, SettlementId,
        TransferApplicationId, TransferId,
    },
    v1::{AccountKind, DepositStatus, ForfeitureStatus},
};

pub mod account {
    use super::{AccountId, AccountKind, Money, OrganizationId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "account")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: AccountId,
        pub kind: AccountKind,
        pub organization_id: Option<OrganizationId>,
        pub balance: Money,
        pub held: Money,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod transfer {
    use super::{AccountId, Instant, Money, TransferId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "transfer")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: TransferId,
        pub debit_id: AccountId,
        pub credit_id: AccountId,
        pub amount: Money,
        pub posted_amount: Money,
        pub state: String,
        pub purpose: String,
        pub reference: String,
        pub at: Instant,
        pub resolved_at: Option<Instant>,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod bank_receipt {
    use super::{BankReceiptId, Instant, Money, OrganizationId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "bank_receipt")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: BankReceiptId,
        pub organization_id: OrganizationId,
        pub amount: Money,
        pub bank_reference: String,
        pub received_at: Instant,
        pub recorded_at: Instant,
        pub cashier_id: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod deposit {
    use super::{
        DepositId, DepositStatus, Instant, ListingId, Money, OrganizationId, TransferApplicationId, TransferId,
    };
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deposit")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: DepositId,
        pub transfer_application_id: TransferApplicationId,
        pub listing_id: ListingId,
        pub organization_id: OrganizationId,
        pub transfer_id: TransferId,
        pub amount: Money,
        pub status: DepositStatus,
        pub open_licence: bool,
        pub held_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod settlement {
    use super::{DealId, Instant, ListingId, Money, SettlementId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "settlement")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: SettlementId,
        pub deal_id: DealId,
        pub listing_id: ListingId,
        pub open_licence: bool,
        pub price: Money,
        pub fee: Money,
        pub deposit_applied: Money,
        pub deposits_released: i32,
        pub settled_at: Instant,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod closed_listing {
    use super::ListingId;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "closed_listing")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub listing_id: ListingId,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod deal_end {
    use super::{DealId, TransferApplicationId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deal_end")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub deal_id: DealId,
        pub transfer_application_id: Option<TransferApplicationId>,
        pub settled: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod forfeiture {
    use super::{
        AwardId, ForfeitureId, ForfeitureStatus, Instant, ListingId, Money, OrganizationId, TransferApplicationId,
    };
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "forfeiture")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: ForfeitureId,
        pub transfer_application_id: TransferApplicationId,
        pub listing_id: ListingId,
        pub award_id: AwardId,
        pub organization_id: OrganizationId,
        pub transferor_id: OrganizationId,
        pub amount: Money,
        pub defaulted_price: Money,
        pub resale_price: Option<Money>,
        pub costs: Option<Money>,
        pub gap_paid: Option<Money>,
        pub status: ForfeitureStatus,
        pub forfeited_at: Instant,
        pub distributed_at: Option<Instant>,
        pub distributed_by: Option<String>,
        pub closed_at: Option<Instant>,
        pub reverse: bool,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

pub mod forfeit_debt {
    use super::{ForfeitureId, Money, OrganizationId};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "forfeit_debt")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub forfeiture_id: ForfeitureId,
        #[sea_orm(primary_key, auto_increment = false)]
        pub place: i32,
        pub organization_id: OrganizationId,
        pub amount: Money,
        pub ground: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}
