using System.Text.Json.Serialization;

namespace Mirror.Tls.Acme;

/// <summary>The addresses of an authority (RFC 8555, 7.1.1).</summary>
internal sealed record AcmeDirectory(Uri? NewNonce, Uri? NewAccount, Uri? NewOrder, AcmeMeta? Meta);

internal sealed record AcmeMeta(string? TermsOfService, bool ExternalAccountRequired);

/// <summary>RFC 8555, 7.3.</summary>
internal sealed record AcmeNewAccount(bool TermsOfServiceAgreed, string[]? Contact);

/// <summary>RFC 8555, 7.4.</summary>
internal sealed record AcmeNewOrder(AcmeIdentifier[] Identifiers);

internal sealed record AcmeIdentifier(string? Type, string? Value);

/// <summary>RFC 8555, 7.4: the request of a certificate in DER, as base64url.</summary>
internal sealed record AcmeFinalize(string Csr);

/// <summary>RFC 8555, 7.1.3.</summary>
internal sealed record AcmeOrder(string? Status, Uri[]? Authorizations, Uri? Finalize, Uri? Certificate, AcmeProblem? Error);

/// <summary>RFC 8555, 7.1.4.</summary>
internal sealed record AcmeAuthorization(string? Status, AcmeIdentifier? Identifier, AcmeChallenge[]? Challenges);

/// <summary>RFC 8555, 8.</summary>
internal sealed record AcmeChallenge(string? Type, Uri? Url, string? Token, AcmeProblem? Error);

/// <summary>RFC 7807, as RFC 8555, 6.7 uses it.</summary>
internal sealed record AcmeProblem(string? Type, string? Detail);

/// <summary>An order that is not finished: its address, and the key of its certificate in PEM.</summary>
internal sealed record SavedOrder(Uri Url, string Key);

/// <summary>The file of <c>registry:2</c>, as far as it is read.</summary>
internal sealed record OldCertificates(Dictionary<string, OldCertificate>? Certs);

internal sealed record OldCertificate(string? Cert, string? Key);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    PropertyNameCaseInsensitive = true)]
[JsonSerializable(typeof(AcmeDirectory))]
[JsonSerializable(typeof(AcmeNewAccount))]
[JsonSerializable(typeof(AcmeNewOrder))]
[JsonSerializable(typeof(AcmeFinalize))]
[JsonSerializable(typeof(AcmeOrder))]
[JsonSerializable(typeof(AcmeAuthorization))]
[JsonSerializable(typeof(AcmeProblem))]
[JsonSerializable(typeof(SavedOrder))]
[JsonSerializable(typeof(OldCertificates))]
internal sealed partial class AcmeJson : JsonSerializerContext;
