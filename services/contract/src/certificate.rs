//! The certificate of recognition and registration (认定登记证明), as a text that anybody can hash again.

use kernel::{Instant, Money};
use wire::v1::ContractKind;

use crate::document::sha256_hex;

/// What a certificate states.
#[derive(Clone, Debug)]
pub struct Certificate<'a> {
    /// The registration number (T12).
    pub number: &'a str,
    /// The contract's id.
    pub contract_id: &'a str,
    /// The hash of the contract's document.
    pub document_hash: &'a str,
    /// The kind that the registrar recognized by the content (解释 42).
    pub kind: ContractKind,
    /// 合同成交额
    pub contract_amount: Money,
    /// 技术交易额
    pub technical_amount: Money,
    /// When it was registered.
    pub registered_at: Instant,
}

impl Certificate<'_> {
    /// The canonical text: one `name=value` a line, in this order. No value holds a line break.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { number, contract_id, document_hash, kind, contract_amount, technical_amount, registered_at } = self;
        let kind = kind.stored();
        format!(
            "jishi.registration-certificate.1\nnumber={number}\ncontractId={contract_id}\ndocumentHash={document_hash}\n\
             kind={kind}\ncontractAmount={contract_amount}\ntechnicalAmount={technical_amount}\nregisteredAt={registered_at}\n"
        )
    }

    /// SHA-256 of the canonical text.
    #[must_use]
    pub fn hash(&self) -> String {
        sha256_hex(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_moves_the_hash() {
        let certificate = Certificate {
            number: "2026510001000001",
            contract_id: "contract_1",
            document_hash: "00",
            kind: ContractKind::Assignment,
            contract_amount: Money(100),
            technical_amount: Money(100),
            registered_at: Instant(0),
        };
        let expected = "jishi.registration-certificate.1\nnumber=2026510001000001\ncontractId=contract_1\ndocumentHash=00\n\
                        kind=ASSIGNMENT\ncontractAmount=1.00\ntechnicalAmount=1.00\nregisteredAt=1970-01-01T00:00:00.000Z\n";
        assert_eq!(certificate.text(), expected);
        let altered = [
            Certificate { number: "2026510001000002", ..certificate.clone() },
            Certificate { contract_id: "contract_2", ..certificate.clone() },
            Certificate { document_hash: "01", ..certificate.clone() },
            Certificate { kind: ContractKind::Licence, ..certificate.clone() },
            Certificate { contract_amount: Money(101), ..certificate.clone() },
            Certificate { technical_amount: Money(99), ..certificate.clone() },
            Certificate { registered_at: Instant(1), ..certificate.clone() },
        ];
        assert!(altered.iter().all(|other| other.hash() != certificate.hash()));
    }
}
