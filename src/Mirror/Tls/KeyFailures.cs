using System.Security.Cryptography;

namespace Mirror.Tls;

/// <summary>What .NET throws for keys and certificates.</summary>
internal static class KeyFailures
{
    extension(Exception failure)
    {
        /// <summary>True for the exceptions for a text that holds no key or certificate, or one that cannot be used here, such as a key on
        /// an unknown elliptic curve (<see cref="PlatformNotSupportedException"/>).</summary>
        public bool IsKeyFailure => failure is CryptographicException or ArgumentException or PlatformNotSupportedException;

        /// <summary>True for the exceptions for a key in JSON (RFC 7517) that is none, or one that cannot be used here: also for a part
        /// that is missing or not Base64Url.</summary>
        public bool IsJwkFailure => failure.IsKeyFailure || failure is FormatException;
    }
}
