namespace Mirror.Configuration.Reading;

/// <summary>Checks section <c>middleware</c>: each kind of middleware needs other keys.</summary>
internal static class MiddlewareRules
{
    private static readonly string[] Known = ["cloudfront", "redirect", "rewrite"];

    public static void Check(MirrorOptions options, IConfiguration values, Findings findings)
    {
        // What an unknown middleware was to do, such as a check of who may push, must not be left out silently.
        foreach (var entry in values.GetSection("middleware").GetChildren().SelectMany(kind => kind.GetChildren()))
            if (entry["name"] is { } name && ValueRules.TrueOrFalse.Canonical(entry["disabled"] ?? "") is not "true"
                && !(entry.Path.StartsWith("middleware:storage:", StringComparison.OrdinalIgnoreCase) && Known.Contains(name)))
                findings.Errors.Add(
                    $"{entry.Path.Replace(':', '.')}.name: there is no middleware {name} here; remove it, or give it disabled: true");

        foreach (var (entry, path) in Enabled(options))
        {
            void Require(string? value, string key, string what)
            {
                if (string.IsNullOrEmpty(value)
                    && !findings.Errors.Exists(error => error.StartsWith($"{path}.options.{key}:", StringComparison.Ordinal)))
                    findings.Errors.Add($"{path}.options.{key}: missing; {what} is required");
            }

            switch (entry.Name)
            {
                case "cloudfront":
                    Require(entry.Options.BaseUrl, "baseurl", "the address of the distribution");
                    Require(entry.Options.PrivateKey, "privatekey", "the path of an RSA key in PEM, or the key itself");
                    Require(entry.Options.KeyPairId, "keypairid", "the name that CloudFront has for the key");
                    if (entry.Options.IpFilteredBy is AwsClients.AwsRegion)
                        Require(entry.Options.AwsRegion, "awsregion", "regions of AWS, separated by commas");
                    break;
                case "redirect":
                    Require(entry.Options.BaseUrl, "baseurl", "an address with scheme and host");
                    if (entry.Options.BaseUrl is { Length: > 0 } url && ValueRules.PublicUrl.Canonical(url) is null)
                        findings.Errors.Add($"{path}.options.baseurl: \"{url}\" is not allowed: {ValueRules.PublicUrl.Allowed}");
                    break;
            }
        }
    }

    public static void Warn(MirrorOptions options, Findings findings)
    {
        foreach (var (entry, path) in Enabled(options))
        {
            if (options.Storage.Redirect.Disable)
                findings.Warnings.Add($"{path} has no effect with storage.redirect.disable: true: the server sends blobs itself");
            else if (entry.Name is "cloudfront" && options.Storage.S3 is null)
                findings.Warnings.Add($"{path} has no effect with storage.{options.Storage.Driver}: cloudfront needs a bucket of S3");
            else if (entry.Name is "rewrite" && options.Storage.Bucket() is null)
                findings.Warnings.Add($"{path} has no effect with storage.{options.Storage.Driver}: a folder has no addresses to rewrite");
            if (entry.Name is "redirect" && new Uri(entry.Options.BaseUrl!).AbsolutePath is { Length: > 1 } folder)
                findings.Warnings.Add(
                    $"{path}.options.baseurl: clients are sent to addresses below {folder}, as with registry:3; registry:2 left it out");
            if (entry.Options.UpdateFrenquency is not null)
                findings.Warnings.Add(
                    $"{path}.options.updatefrenquency is an old spelling of updatefrequency. It says how often the list of AWS's addresses "
                    + "is loaded; in registry:2 it changed duration by mistake");
        }
    }

    private static IEnumerable<(StorageMiddlewareOptions Entry, string Path)> Enabled(MirrorOptions options) =>
        options.Middleware.Storage.Index().Where(entry => !entry.Item.Disabled)
            .Select(entry => (entry.Item, $"middleware.storage.{entry.Index}"));
}
