//! The unified social credit code (统一社会信用代码), GB 32100-2015: 18 characters of which the last checks the others.

use kernel::{ErrorCode, Refusal, Result};

/// The characters in the order of their values; I, O, S, V and Z are left out as too like digits and other letters.
const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The code in capitals, if its form and its check character are right.
///
/// The first character (the registering authority) is not narrowed down: amendments keep adding to its list.
pub fn usci(text: &str, field: &str) -> Result<String> {
    let code = text.trim().to_ascii_uppercase();
    if is_valid(&code) {
        return Ok(code);
    }
    Err(Refusal::new(ErrorCode::InvalidUsci).at_field(field).by_rule("GB 32100-2015").into())
}

fn is_valid(code: &str) -> bool {
    let region = code.bytes().skip(2).take(6).all(|b| b.is_ascii_digit());
    let Some(values) = code.chars().map(|c| ALPHABET.find(c)).collect::<Option<Vec<usize>>>() else { return false };
    // The weights are the powers of 3 modulo 31; with the check character's own, the weighted sum is a multiple of 31.
    let weights = std::iter::successors(Some(1), |weight| Some(weight * 3 % 31)).take(17);
    let Some((check, body)) = values.split_last() else { return false };
    let sum: usize = body.iter().zip(weights).map(|(value, weight)| value * weight).sum();
    values.len() == 18 && region && (sum + check).is_multiple_of(31)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::{Path, PathBuf};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn real_codes_pass_and_slips_do_not() {
        let good = [
            "121200004013590816",
            "91110000600037341L",
            "91340600MA2PBM9HXD",
            "9144030071526726XG",
            "91620105L015101280",
        ];
        for code in good {
            assert_eq!(usci(code, "usci").unwrap(), code);
        }
        assert_eq!(usci(" 91110000600037341l ", "usci").unwrap(), "91110000600037341L");
        let bad = [
            "91110000600037341N",
            "A1110000600037341L",
            "9111000060003IOZSV",
            "12345",
            "",
            "９１110000600037341L",
            "000000000000000000\0",
        ];
        for code in bad {
            assert_eq!(usci(code, "usci").unwrap_err().code(), ErrorCode::InvalidUsci, "{code:?}");
        }
    }

    /// The folder of real data, which is no part of the project.
    pub(crate) fn data() -> Option<PathBuf> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        let folder = std::env::var_os("TEST_DATA").map_or(beside, PathBuf::from);
        let found = folder.join("codes").is_dir().then_some(folder);
        if found.is_none() {
            eprintln!("skipped: real data is not there; TEST_DATA names its folder");
        }
        found
    }

    #[test]
    fn all_vectors_agree() {
        let Some(folder) = data() else { return };
        let mut vectors = csv::Reader::from_path(folder.join("codes/uscc_test_vectors.csv")).unwrap();
        let mut count = 0;
        for row in vectors.records() {
            let row = row.unwrap();
            assert_eq!(usci(&row[0], "usci").is_ok(), &row[1] == "valid", "{row:?}");
            count += 1;
        }
        assert_eq!(count, 62);
    }

    proptest! {
        /// The check character finds every single wrong character and every swap of two neighbours.
        #[test]
        fn one_slip_is_always_found(place in 0_usize..17, other in 0_usize..31) {
            let code = "91340600MA2PBM9HXD";
            let mut slip: Vec<char> = code.chars().collect();
            slip[place] = ALPHABET.chars().nth(other).unwrap();
            let slip: String = slip.into_iter().collect();
            prop_assert_eq!(is_valid(&slip), slip == code);
            let mut swap: Vec<char> = code.chars().collect();
            swap.swap(place, place + 1);
            let swap: String = swap.into_iter().collect();
            prop_assert_eq!(is_valid(&swap), swap == code);
        }
    }
}
