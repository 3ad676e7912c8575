using Mirror.Storage.Buckets.Swift;

namespace Mirror.Configuration.Old;

/// <summary>
/// The store <c>glance</c> of docker-registry 0.x. It had its log-in from variables, and kept in another store what was no image.
/// </summary>
internal static class OldGlance
{
    private const string Section = "storage.glance";

    // The variable, today's key, and the key of the file that says the same to the other store.
    private static readonly (string Variable, string Key, string? OfSwift)[] Login =
    [
        ("OS_AUTH_URL", "authurl", "swift_authurl"), ("OS_USERNAME", "username", "swift_user"),
        ("OS_PASSWORD", "password", "swift_password"),
        ("OS_TENANT_NAME", "tenant", "swift_tenant_name"), ("OS_REGION_NAME", "region", "swift_region_name"),
        ("OS_GLANCE_URL", "endpoint", null),
    ];

    public static void Translate(OldSettings old, IReadOnlyDictionary<string, string> environment)
    {
        var alternate = old["storage_alternate"] ?? "file";
        if (alternate is not ("file" or "local" or "swift"))
        {
            old.Say("storage", OldKeyFate.Refused, $"storage_alternate: {alternate} is not known; available are file, local and swift");
            return;
        }
        var isSwift = alternate is "swift";
        var values = Login.ToDictionary(row => row.Key, row => OldFile.Value(environment, row.Variable) is { Length: > 0 } variable
            ? variable
            : isSwift && row.OfSwift is { } key ? old[key] : null);
        if (values["authurl"] is null && (isSwift || values["endpoint"] is null))
        {
            old.Say("storage", OldKeyFate.Refused, "glance needs the variables OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_TENANT_NAME, "
                + "or OS_GLANCE_URL for a Glance without a log-in");
            return;
        }
        old.Say("storage", OldKeyFate.Taken, $"{Section}: one image for each blob, by version 2 of Glance's interface");
        foreach (var (variable, key, ofSwift) in Login)
        {
            if (values[key] is not { } value)
                continue;
            old.Set($"{Section}.{key}", value);
            if (OldFile.Value(environment, variable) is { Length: > 0 })
                old.Say(variable, key is "password" ? "***" : value, OldKeyFate.Taken, $"{Section}.{key}");
            if (!isSwift || ofSwift is null || !old.Has(ofSwift))
                continue;
            if (old[ofSwift] == value)
                old.Say(ofSwift, OldKeyFate.Taken, $"{Section}.{key}");
            else
                old.Say(ofSwift, OldKeyFate.NotDone, $"Glance and Swift have one log-in here: that of {variable}");
        }
        if (values["authurl"] is { } url && new SwiftOptions { AuthUrl = url }.Version is null)
            old.Set($"{Section}.authversion", "2");
        Alternate(old, isSwift);
        old.Say("storage_redirect", OldKeyFate.WithoutEffect, "Glance has no addresses to send clients to");
    }

    private static void Alternate(OldSettings old, bool isSwift)
    {
        if (!isSwift)
        {
            old.Set($"{Section}.rootdirectory", OldStorage.DefaultFolder);
            old.Take("storage_path", $"{Section}.rootdirectory");
            old.Say("storage_alternate", OldKeyFate.Taken, $"{Section}.rootdirectory");
            return;
        }
        old.Say("storage_alternate", OldKeyFate.Taken, $"{Section}.container");
        old.Set($"{Section}.container", "dev_container");
        old.Take("swift_container", $"{Section}.container");
        old.Set($"{Section}.prefix", "/registry");
        old.Take("storage_path", $"{Section}.prefix");
        if (old["swift_auth_version"] is { } version)
            old.Take("swift_auth_version", $"{Section}.authversion", version.Split('.')[0]);
    }
}
