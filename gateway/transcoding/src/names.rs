//! Lookup by name, in tables that never change after the start.

/// An open-addressed hash table from short names to small values.
///
/// The keys come from the contract, so their collisions are fixed when the table is built: input
/// cannot make a lookup slow, and a simple hash is enough.
#[derive(Debug)]
pub(crate) struct NameTable<V> {
    slots: Box<[Option<Slot<V>>]>,
}

type Slot<V> = (Box<[u8]>, V);

impl<V: Copy> NameTable<V> {
    /// Builds the table; the first of equal names wins.
    pub(crate) fn new(names: impl IntoIterator<Item = (Vec<u8>, V)>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        let size = (names.len() * 2).next_power_of_two().max(2);
        let mut slots: Vec<Option<Slot<V>>> = Vec::new();
        slots.resize_with(size, || None);
        for (name, value) in names {
            let mut at = hash(name.iter().copied()) & (size - 1);
            while let Some((taken, _)) = &slots[at] {
                if **taken == *name {
                    break;
                }
                at = (at + 1) & (size - 1);
            }
            slots[at].get_or_insert_with(|| (name.into_boxed_slice(), value));
        }
        Self {
            slots: slots.into_boxed_slice(),
        }
    }

    /// The value of exactly this name.
    pub(crate) fn get(&self, name: &[u8]) -> Option<V> {
        self.find(hash(name.iter().copied()), |key| key == name)
    }

    /// The value of this name in any (ASCII) case, for tables of lower-case names.
    pub(crate) fn get_ignoring_case(&self, name: &[u8]) -> Option<V> {
        self.find(hash(name.iter().map(u8::to_ascii_lowercase)), |key| {
            key.eq_ignore_ascii_case(name)
        })
    }

    fn find(&self, hash: usize, matches: impl Fn(&[u8]) -> bool) -> Option<V> {
        let mask = self.slots.len() - 1;
        let mut at = hash & mask;
        // The table is at most half full, so an empty slot ends every probe.
        while let Some((key, value)) = &self.slots[at] {
            if matches(key) {
                return Some(*value);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

/// FNV-1a, folded so that the low bits depend on all bytes.
fn hash(name: impl Iterator<Item = u8>) -> usize {
    let hash = name.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn finds_every_name_and_no_other() {
        let names: Vec<String> = (0..300).map(|n| format!("field_{n}")).collect();
        let table = NameTable::new(
            names
                .iter()
                .zip(0_u16..)
                .map(|(n, v)| (n.clone().into_bytes(), v)),
        );
        for (name, value) in names.iter().zip(0_u16..) {
            assert_eq!(table.get(name.as_bytes()), Some(value));
            assert_eq!(
                table.get_ignoring_case(name.to_uppercase().as_bytes()),
                Some(value)
            );
        }
        assert_eq!(table.get(b"field_300"), None);
        assert_eq!(table.get(b""), None);
        assert_eq!(NameTable::<u16>::new([]).get(b"x"), None);
    }

    #[test]
    fn the_first_of_equal_names_wins() {
        let table = NameTable::new([(b"a".to_vec(), 1), (b"a".to_vec(), 2)]);
        assert_eq!(table.get(b"a"), Some(1));
    }
}
