//! The Merkle tree of RFC 6962, section 2.1, as it grows: only the roots of its perfect subtrees are kept, at most one
//! per bit of its size. The whole tree in memory, as `ct-merkle` has it, would be read anew at every start.

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A hash of a leaf, a node or the root.
pub type Hash = [u8; 32];

/// The hash of a leaf, told apart from a node's by the byte before it.
#[must_use]
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// A growing tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    size: u64,
    /// Roots of the perfect subtrees, the largest first.
    peaks: Vec<Hash>,
}

impl Tree {
    /// A tree of `size` leaves from its stored peaks.
    pub fn read(size: u64, peaks: &[u8]) -> Result<Tree> {
        let (peaks, rest) = peaks.as_chunks::<32>();
        if !rest.is_empty() || peaks.len() != size.count_ones() as usize {
            return Err(Error::Internal(format!("a tree of {size} leaves has other peaks")));
        }
        Ok(Tree { size, peaks: peaks.to_vec() })
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The peaks, to be stored.
    #[must_use]
    pub fn peaks(&self) -> Vec<u8> {
        self.peaks.concat()
    }

    /// Adds a leaf's hash.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing one of the size is a subtree as large as the one in hand.
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root; of an empty tree the hash of nothing.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return Sha256::digest([]).into() };
        peaks.fold(*last, |right, left| node(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, word for word.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [one] => *one,
            many => {
                let (left, right) = many.split_at(many.len().next_power_of_two() / 2);
                node(&defined(left), &defined(right))
            }
        }
    }

    fn tree(leaves: &[Hash]) -> Tree {
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        tree
    }

    /// The vectors of Certificate Transparency's reference implementation.
    #[test]
    fn the_published_roots_come_out() {
        let entries: [&[u8]; 8] = [
            &[],
            &[0x00],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
        ];
        let leaves = entries.map(leaf);
        for (size, root) in [
            (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ] {
            let found = data_encoding::HEXLOWER.encode(&tree(&leaves[..size]).root());
            assert_eq!(found, root, "{size} leaves");
        }
    }

    proptest! {
        /// It grows as defined, also when it is stored and read on the way; any change shows in the root.
        #[test]
        fn a_grown_tree_is_the_defined_one(leaves: Vec<Hash>, at: prop::sample::Index, bit in 0_usize..256) {
            let whole = tree(&leaves);
            prop_assert_eq!(whole.root(), defined(&leaves));
            let at = at.index(leaves.len() + 1);
            let (before, after) = leaves.split_at(at);
            let first = tree(before);
            let mut stored = Tree::read(first.size(), &first.peaks()).unwrap();
            after.iter().for_each(|leaf| stored.push(*leaf));
            prop_assert_eq!(&stored, &whole);
            prop_assert!(Tree::read(whole.size() + 1, &whole.peaks()).is_err() || whole.size() % 2 == 1);
            if let Some(place) = at.checked_sub(1) {
                let mut bent = leaves.clone();
                bent[place][bit / 8] ^= 1 << (bit % 8);
                prop_assert_ne!(tree(&bent).root(), whole.root());
                let mut fewer = leaves.clone();
                fewer.remove(place);
                prop_assert_ne!(tree(&fewer).root(), whole.root());
            }
        }
    }
}
