// Handshake: what both ends derive from a connection's TLS secrets to name an association and to
// prove that a later connection belongs to it. The association is named by its first connection;
// nothing secret ever crosses. Values and pure functions.
#pragma once

#include <cstdint>

#include "lib/crypto/digest.hpp"
#include "lib/crypto/identity.hpp"
#include "lib/crypto/tls_engine.hpp"
#include "lib/datagram/protection.hpp"
#include "lib/session/frame_path.hpp"
#include "lib/wire/hello.hpp"

namespace longhaul::session {

// Capability bits that this build has (docs/wire.md, "Capabilities"). What a dialler's messages
// need it requires in its Hello: an older peer refuses it there, instead of ending the session at a
// message that it cannot read.
constexpr std::uint64_t kCapabilityDatagrams = 1;     // the fast path
constexpr std::uint64_t kCapabilityChaCha = 2;        // it is sealed with ChaCha20-Poly1305
constexpr std::uint64_t kCapabilityProbe = 4;         // the third service is lib/probe's
constexpr std::uint64_t kCapabilityRuns = 8;          // the second service is lib/feed's
constexpr std::uint64_t kCapabilityCheckpoints = 16;  // FetchCheckpoint, and Ask for checkpoints
constexpr std::uint64_t kCapabilityPace = 32;         // Pace: a pull's limit is kept by its sender
constexpr std::uint64_t kCapabilityDemand = 64;       // Demand: what a site's readers need first
constexpr std::uint64_t kCapabilityFill = 128;        // ProbeFill, ProbeFetch, also without UDP
constexpr std::uint64_t kCapabilityBaseParts = 256;   // manifests may name parts of base's files
constexpr std::uint64_t kCapabilitiesOfUdp =
    kCapabilityDatagrams | kCapabilityChaCha | kCapabilityProbe;
constexpr std::uint64_t kCapabilitiesOfServices = kCapabilityRuns | kCapabilityCheckpoints |
                                                  kCapabilityPace | kCapabilityDemand |
                                                  kCapabilityFill | kCapabilityBaseParts;
constexpr std::uint64_t kCapabilities = kCapabilitiesOfUdp | kCapabilitiesOfServices;

// Who we are and whom we expect. What it refers to outlives the session.
struct SessionKeys {
  const crypto::TlsContext* tls = nullptr;  // our identity
  crypto::Pin peer;                         // any other key is refused
  std::uint64_t seed = 0;                   // of handshakes, where `tls` is seeded
};

// The connection of a path that has just been dialled.
std::unique_ptr<FramePath> dial_over_tls(const SessionKeys& keys, BufferPool& pool, PathId path);

// What names and protects an association: derived from its first connection at both ends.
struct Association {
  wire::SessionToken token{};
  crypto::Digest secret;
  crypto::Pin peer;
};
Association associate(const FramePath& first);

// Shows, on another connection, that its dialler knows the association's secret.
wire::Proof prove(const Association& association, const FramePath& connection);
bool proven(const Association& association, const FramePath& connection, const wire::Proof& proof);

// Keys of datagrams, of the epoch with this number that `primary` defines (docs/wire.md).
datagram::EpochKeys epoch_keys(const FramePath& primary, const wire::SessionToken& token,
                               std::uint32_t number, bool dials, bool chacha);

}  // namespace longhaul::session
