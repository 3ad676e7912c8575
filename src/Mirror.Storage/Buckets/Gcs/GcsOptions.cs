namespace Mirror.Storage.Buckets.Gcs;

/// <summary>Section <c>storage.gcs</c>: a bucket of Google Cloud Storage, with the keys of <c>registry:2</c>.</summary>
public sealed class GcsOptions : BucketOptions
{
    private const string Google = "https://storage.googleapis.com";

    public override string Location => $"gs://{Bucket}/{Root}";

    public override string Identity => $"{ServiceUrl.Authority} {Bucket} {Root}";

    public string Bucket { get; set; } = "";

    /// <summary>The file of a service account's key in JSON. Default null: <see cref="Credentials"/> are used.</summary>
    public string? KeyFile { get; set; }

    /// <summary>
    /// What stands in such a file, key by key. Default null: the application's default credentials: a file that
    /// <c>GOOGLE_APPLICATION_CREDENTIALS</c> names, that of gcloud, or the account of the machine.
    /// </summary>
    public Dictionary<string, string>? Credentials { get; set; }

    /// <summary>The prefix of all names. Default: none.</summary>
    public string RootDirectory { get; set; } = "";

    /// <summary>The address of the service, where it is another one than Google's public one. Default null.</summary>
    public string? Endpoint { get; set; }

    /// <summary><see cref="Endpoint"/> or its default.</summary>
    internal Uri ServiceUrl => new(Endpoint ?? Google);

    /// <summary><see cref="RootDirectory"/> as names begin with it: empty, or with a slash at its end only.</summary>
    internal string Root => RootDirectory.Trim('/') is { Length: > 0 } folder ? $"{folder}/" : "";
}
