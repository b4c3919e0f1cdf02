//! The WAV file of a recording: 16-bit PCM, 8 kHz, two channels. Its header is brought up to date as it grows, so that
//! it can be read up to there whatever becomes of the process. When it reaches the disk is up to the system: to wait for that
//! at the end of one recording would hold up all others.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

const HEADER: u32 = 44;
const RATE: u32 = 8_000;
const CHANNELS: u16 = 2;
const FRAME: u16 = 2 * CHANNELS;

/// An open file.
#[derive(Debug)]
pub struct WavFile {
    file: File,
    octets: u32,
}

impl WavFile {
    /// A new file for nobody but us; its folder is made. Fails when there is one already.
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(&header())?;
        Ok(WavFile { file, octets: 0 })
    }

    /// Says in the header what has been written so far.
    pub fn update(&self) -> io::Result<()> {
        self.file.write_all_at(&(self.octets.saturating_add(HEADER - 8)).to_le_bytes(), 4)?;
        self.file.write_all_at(&self.octets.to_le_bytes(), u64::from(HEADER) - 4)
    }
}

impl Write for WavFile {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let written = self.file.write(octets)?;
        // 37 hours fit; what is longer is cut for those who believe the header.
        self.octets = self.octets.saturating_add(u32::try_from(written).unwrap_or(u32::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn header() -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..4].copy_from_slice(b"RIFF");
    header[4..8].copy_from_slice(&(HEADER - 8).to_le_bytes());
    header[8..16].copy_from_slice(b"WAVEfmt ");
    header[16..20].copy_from_slice(&16_u32.to_le_bytes());
    header[20..22].copy_from_slice(&1_u16.to_le_bytes());
    header[22..24].copy_from_slice(&CHANNELS.to_le_bytes());
    header[24..28].copy_from_slice(&RATE.to_le_bytes());
    header[28..32].copy_from_slice(&(RATE * u32::from(FRAME)).to_le_bytes());
    header[32..34].copy_from_slice(&FRAME.to_le_bytes());
    header[34..36].copy_from_slice(&16_u16.to_le_bytes());
    header[36..40].copy_from_slice(b"data");
    header
}
