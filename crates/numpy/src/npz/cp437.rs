//! Names of zip members that are not marked as UTF-8: code page 437, as in the first PCs.

/// Characters of the bytes 128 to 255.
const UPPER_HALF: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»\
░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// Decodes `bytes`; every byte is a character.
pub(super) fn decode(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| decode_byte(byte)).collect()
}

fn decode_byte(byte: u8) -> char {
    match byte.checked_sub(128) {
        None => byte.into(),
        Some(place) => UPPER_HALF.chars().nth(place.into()).unwrap_or(char::REPLACEMENT_CHARACTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_its_own_character() {
        let all: Vec<u8> = (0..=255).collect();
        let decoded: Vec<char> = decode(&all).chars().collect();
        let distinct: std::collections::HashSet<_> = decoded.iter().collect();
        assert_eq!((decoded.len(), distinct.len()), (256, 256));
        assert!(!decoded.contains(&char::REPLACEMENT_CHARACTER));
        // Python: bytes([0x80, 0x9b, 0xe1, 0xfe]).decode('cp437')
        assert_eq!(decode(&[0x80, 0x9b, 0xe1, 0xfe]), "Ç¢ß■");
    }
}
