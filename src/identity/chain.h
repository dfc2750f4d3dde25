// Whether a certificate counts: signed by the project's root, in its time, for its purpose, not revoked.
#pragma once

#include "base/loop.h"
#include "base/result.h"
#include "identity/certificate.h"
#include "identity/revocation.h"

namespace fed_learn {

// Unauthenticated, saying which of these failed and how to mend it, if `certificate` does not count at `now`.
// `revocations` may be null. Safe from any thread.
Status VerifyCertificate(const Certificate& certificate, const Certificate& root, const RevocationList* revocations,
                         WallTime now);

}  // namespace fed_learn
