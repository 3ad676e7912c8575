namespace Mirror.Storage.Buckets.Azure;

/// <summary>
/// Section <c>storage.azure</c>: a container of Azure Blob Storage, with the keys of <c>registry:2</c> and <c>registry:3</c>.
/// </summary>
public sealed class AzureOptions : BucketOptions
{
    /// <summary>The account that emulators have. <c>registry:2</c> always looks for it at <see cref="EmulatorUrl"/>.</summary>
    private const string EmulatorAccount = "devstoreaccount1";

    private const string EmulatorUrl = "https://127.0.0.1:10000/devstoreaccount1";

    public override string Location => $"azure://{AccountName}/{Container}/{Root}";

    public override string Identity => $"{ContainerUrl.Host} {AccountName} {Container} {Root}";

    public string AccountName { get; set; } = "";

    public string Container { get; set; } = "";

    /// <summary>The account's key in base64. Default null: <see cref="Credentials"/> are used.</summary>
    public string? AccountKey { get; set; }

    /// <summary>The domain behind <c>blob.</c>; other clouds have another one. Default <c>core.windows.net</c>.</summary>
    public string Realm { get; set; } = "core.windows.net";

    /// <summary>The address of the service. Default: <c>https://ACCOUNTNAME.blob.REALM</c>.</summary>
    public string? ServiceUrl { get; set; }

    /// <summary>The prefix of all names. Default: none. <c>registry:2</c> does not have this key.</summary>
    public string RootDirectory { get; set; } = "";

    /// <summary>
    /// How to log in. Null: with <see cref="AccountKey"/>, or without one as <see cref="AzureCredentialType.DefaultCredentials"/>.
    /// </summary>
    public AzureCredentialsOptions? Credentials { get; set; }

    /// <summary>Whether to accept any certificate. Default false.</summary>
    public bool SkipVerify { get; set; }

    /// <summary>The address of the container.</summary>
    public Uri ContainerUrl => new($"{Service.TrimEnd('/')}/{Container}");

    /// <summary><see cref="RootDirectory"/> as names begin with it: empty, or with a slash at its end only.</summary>
    internal string Root => RootDirectory.Trim('/') is { Length: > 0 } folder ? $"{folder}/" : "";

    /// <summary>Whether the account's key is the log-in. If not, it is a token, which Azure's library sends by HTTPS only.</summary>
    public bool UsesKey => Credentials is { } credentials ? credentials.Type is AzureCredentialType.SharedKey : AccountKey is not null;

    /// <summary>
    /// Whether the file has only keys of <c>registry:2</c>, which begins each name with a slash and creates a missing container.
    /// <c>registry:3</c> requires <see cref="Credentials"/> and does neither.
    /// </summary>
    public bool IsOfRegistry2 => Credentials is null && RootDirectory.Length == 0;

    private string Service => ServiceUrl
        ?? (AccountName == EmulatorAccount ? EmulatorUrl : $"https://{AccountName}.blob.{Realm}");
}

/// <summary>Section <c>storage.azure.credentials</c>.</summary>
public sealed class AzureCredentialsOptions
{
    public AzureCredentialType Type { get; set; } = AzureCredentialType.DefaultCredentials;

    public string? ClientId { get; set; }

    public string? TenantId { get; set; }

    public string? Secret { get; set; }
}

/// <summary>How to log in to Azure.</summary>
public enum AzureCredentialType
{
    /// <summary>By the environment, a workload identity or a managed identity.</summary>
    DefaultCredentials,

    /// <summary>By the account's key.</summary>
    SharedKey,

    /// <summary>By the secret of a registered application.</summary>
    ClientSecret,
}
