//! Rewrites, placement, memory plan and step list.
