using Mirror.Storage;
namespace Mirror.Fuzz;

/// <summary>The code of each parser, whose branches its known inputs must take.</summary>
internal static class ParserSources
{
    /// <summary>The types and methods, with a blank between them. Of a type that does more than that only the methods that read.</summary>
    public static readonly Dictionary<string, string> All = new()
    {
        ["accept"] = "PlatformChoice.Accepts Schema1Requests.IsFor",
        ["acme-directory"] = "AcmeSession.OpenAsync AcmeSession.Require AcmeSession.Parse AcmeException",
        ["acme-order"] = "AcmeSession.SendAsync AcmeSession.NonceAsync AcmeSession.Parse Issuance.OrderAsync Issuance.NewAsync "
            + "Issuance.AuthorizeAsync Issuance.UntilAsync",
        ["acme-problem"] = "AcmeException AcmeSession.ProblemIn RetryAfter",
        ["address"] = "ListenAddress.TryParse",
        ["announcement"] = "Announcements.Hear",
        ["authorization"] = "BasicHeader.Read BearerChallenge.TokenIn",
        ["azure-answers"] = "AzureBucket.ListAsync AzureBucket.ListFoldersAsync AzureBucket.ListUploadsAsync BucketCalls.After",
        ["boto"] = "BotoFile IniFile",
        ["certificate-bundle"] = "TrustedKeys..ctor TrustedKeys.Add TrustedKeys.Of",
        ["certificate-folder"] = "CertificateFolder.Certificate CertificateFolder.Account CertificateFolder.Order "
            + "CertificateFolder.ReadKey CertificateFolder.OldPem CertificateFolder.Text HostCertificate.Parse",
        ["challenge"] = "Challenge",
        ["checkpoint"] = "SpoolCheckpoint.Read",
        ["client-certificate"] = "CertificateNames",
        ["client-hello"] = "ClientHello",
        ["content-range"] = "ContentRange",
        ["credential-helper"] = "CredentialHelper.Parse CredentialHelper.Text",
        ["digest"] = "Digest.TryParse",
        ["duration"] = "GoDuration",
        ["environment"] = "EnvironmentOverrides",
        ["events"] = "EventQueue.Recover EventQueue.Count EventQueue.Peek EventQueue.NextAsync EventQueue.Delivered EventBatch",
        ["forwarded"] = "TrustedProxies.Apply TrustedProxies.AskedOrigin TrustedProxies.HasAny TrustedProxies.AddressOf "
            + "TrustedProxies.Field TrustedProxies.First",
        ["gcs-answers"] = "GcsBucket.ListAsync GcsBucket.ListFoldersAsync GcsBucket.PagesAsync BucketCalls.After",
        ["htpasswd"] = "HtpasswdFile",
        ["image-v1"] = "V1Image V1Conversion IV1Files.ReadTextAsync",
        // Without KeyNames.OfJwk, which reads the header of a token.
        ["jwks"] = "TrustedKeys..ctor TrustedKeys.Add TrustedKeys.Of KeyNames.Of KeyNames.ToPublicKey KeyNames.ToSecurityKey Ed25519Key.Of",
        ["layer-records"] = "LayerRecords",
        ["link"] = "NextPage",
        ["location"] = "UrlReference",
        ["manifest"] = "ManifestDocument ManifestReader ManifestRules.TypeOf ManifestRules.RequiredBlobs PlatformChoice.LinuxAmd64",
        ["name"] = "RepositoryName.TryParse",
        ["name-pattern"] = "NamePattern",
        ["no-proxy"] = "EnvironmentProxy..ctor EnvironmentProxy.Exclusion EnvironmentProxy.AddressOf EnvironmentProxy.Parse "
            + "EnvironmentProxy.GetProxy",
        ["noted-date"] = "NotedDate.Parse",
        ["old-environment"] = "OldProcess OldFile.Flavor OldFile.Value OldReports.ToNewRelic",
        ["old-settings"] = "OldCors OldElliptics OldFile OldGlance OldReports.Mail OldReports.Secure OldSettings OldStorage OldTranslation",
        ["openid-keys"] = "OidcAccess.ReadAsync OidcAccess.IsOfIssuer OidcAccess.VerifierOf OidcAccess.KeyOf OidcKeys.ReadOnceAsync",
        ["page"] = "Paging.Count",
        ["privileged-key"] = "PrivilegedKey.Read",
        ["range"] = "ByteRange",
        ["rate-limit"] = "MeteringHandler.Number",
        ["reference"] = "Reference.TryParse Reference.IsTagName",
        ["retry-after"] = "RetryAfter UpstreamRequest.RetryAfter",
        ["route"] = "RegistryRoute V1Route.PartOf",
        ["s3-answers"] = "S3Bucket.ListAsync S3Bucket.ListFoldersAsync S3Bucket.ListUploadsAsync S3Bucket.PagesAsync BucketCalls.After",
        ["schedule"] = "CopyEvidence.ReadAsync CopyEvidence.Key",
        ["schema1"] = "SignedManifest Schema1Manifests Schema1Requests.IsPush Schema1Requests.PayloadOf Jws.KeyIn Jws.KeyOf Jws.Verifies",
        ["schema1-config"] = "Conversion.PayloadOf Conversion.Steps Conversion.Newest Conversion.Write Conversion.Text GoJson",
        ["sealed-text"] = "SealedText.TryOpen",
        ["search-answer"] = "SourceIndex.FindAsync SourceIndex.Read SourceIndex.TextOf",
        ["search-database"] = "SearchDatabase.TryParse SearchDatabase.ToString",
        ["settings"] = "AccessKeyRules CrossKeyRules HookKeys KeyReader LetsEncryptRules MiddlewareRules RedisRules Secrets Suggestions "
            + "ValueRules",
        ["shared-pull"] = "CacheUsage.Parse",
        ["shared-tag"] = "TagFreshness.Parse",
        ["shared-token"] = "TokenSource.Parse",
        ["signed-text"] = "ReplicaSignature.TryReadText",
        ["signing-key"] = "SigningKey",
        ["stored-names"] = "RegistryLayout.PinnedTag RegistryLayout.DatedRepository RegistryLayout.IsContentPrefix SwiftSegments.PathOf",
        ["swift-answers"] = "SwiftBucket.ListAsync SwiftBucket.ListFoldersAsync SwiftBucket.EntriesAsync BucketCalls.After "
            + "SwiftBulkDelete SwiftTemporaryUrls.AskAsync",
        ["swift-login"] = "OpenStackTokens.Version1Async OpenStackTokens.Version2Async OpenStackTokens.Version3Async "
            + "OpenStackTokens.Endpoints OpenStackTokens.IsInRegion OpenStackTokens.DocumentAsync OpenStackTokens.Listed",
        ["tags-answer"] = "UpstreamRequest.Parse",
        ["token"] = "TokenVerifier TokenClaims TokenAccess TokenUser TrustedKeys.Choose TrustedKeys.Named TrustedKeys.Member "
            + "TrustedKeys.KeyOfChain TrustedKeys.Issued KeyNames.OfJwk PrivilegedKey.UserOfAsync PrivilegedKey.TokenIn "
            + "PrivilegedKey.IsOurs OwnTokenUser",
        ["token-answer"] = "UpstreamRequest.Parse TokenBody",
        ["upstream-headers"] = "UpstreamAnswers.DigestIn UpstreamAnswers.MustRetryWithoutRange UpstreamAnswers.IsRegistryError "
            + "UpstreamAnswers.IsManifestType UpstreamAnswers.PlausibleLength UpstreamAnswers.RefusesRanges UpstreamAnswers.LacksReferrers",
        ["yaml"] = "YamlText RepeatedKeys",
    };
}
