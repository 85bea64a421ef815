//! Decode any audio file to 16 kHz mono blocks, resample, and compute log-mel features.
