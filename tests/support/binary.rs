//! WebAssembly written byte by byte, for files that are too large, too deep or too damaged to be
//! written as text.

/// A number as the format has it.
pub fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let byte = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(byte);
            return bytes;
        }
        bytes.push(byte | 0x80);
    }
}

/// A list of things.
pub fn list(items: &[Vec<u8>]) -> Vec<u8> {
    [number(items.len()), items.concat()].concat()
}

/// Bytes with their length before them: a name, or the content of a section.
pub fn sized(bytes: &[u8]) -> Vec<u8> {
    [number(bytes.len()), bytes.to_vec()].concat()
}

/// A section.
pub fn section(id: u8, content: &[u8]) -> Vec<u8> {
    [vec![id], sized(content)].concat()
}

/// A component of these sections.
pub fn component(sections: &[Vec<u8>]) -> Vec<u8> {
    [&b"\0asm\x0d\0\x01\0"[..], &sections.concat()].concat()
}

/// A core module of functions without parameters and locals, of which these are the bodies without
/// their end, and of more sections that stand before the code.
pub fn module(bodies: &[Vec<u8>], more: &[Vec<u8>]) -> Vec<u8> {
    let functions: Vec<Vec<u8>> = bodies.iter().map(|body| sized(&[&b"\0"[..], body, b"\x0b"].concat())).collect();
    let types = section(1, b"\x01\x60\0\0");
    let declared = section(3, &list(&vec![vec![0]; bodies.len()]));
    [&b"\0asm\x01\0\0\0"[..], &types, &declared, &more.concat(), &section(10, &list(&functions))].concat()
}

/// A component that instantiates each of these modules, and exports the first under the name of
/// the function that a guest exports: it passes every check of names.
pub fn guest(modules: &[Vec<u8>]) -> Vec<u8> {
    let mut sections: Vec<Vec<u8>> = modules.iter().map(|module| section(1, module)).collect();
    let instances: Vec<Vec<u8>> = (0..modules.len()).map(|index| [vec![0], number(index), vec![0]].concat()).collect();
    sections.push(section(2, &list(&instances)));
    sections.push(section(11, &list(&[[vec![0], sized(b"run"), vec![0, 0x11, 0, 0]].concat()])));
    component(&sections)
}
