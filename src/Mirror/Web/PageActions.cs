using System.Text.RegularExpressions;
using Mirror.Access;
using Mirror.Admin;
using Mirror.PullThrough;
using Mirror.Registry;
using Mirror.Storage.Stores;

namespace Mirror.Web;

/// <summary>What the forms of the pages do. Each answers with the page to go to.</summary>
internal sealed partial class PageActions(
    PageAccess access, RepositoryResolver repositories, IPinStore pins, Purge purge, Warming warming, HeldTags held,
    RegistryRoutes registry, RequestBody bodies)
{
    /// <summary>How many bytes a form may have.</summary>
    public const int MaxForm = 64 << 10;

    /// <summary>The paths of all forms but the one to log in, below <c>/ui/</c>.</summary>
    public static readonly IReadOnlyList<string> Names = ["logout", "pin", "unpin", "purge", "warm", "release", "delete"];

    /// <summary>Whether there is such a form.</summary>
    public static bool Has(string name) => Names.Contains(name);

    /// <summary>Logs in by name and password.</summary>
    /// <returns>The page to go to; null where they are wrong.</returns>
    /// <exception cref="RegistryException">A page of another site has sent it.</exception>
    public async Task<string?> LogInAsync(RegistryRequest request, Frame frame)
    {
        access.RequireOwnSite(request.Http);
        var form = await FormAsync(request);
        var to = form["to"].ToString();
        return await access.LogInAsync(request, form["name"].ToString().Trim(), form["password"].ToString())
            ? $"{frame.Base}/{(PageAndQuery().IsMatch(to) ? to : "")}"
            : null;
    }

    /// <summary>Does what a form asks for.</summary>
    /// <returns>The page to go to.</returns>
    /// <exception cref="RegistryException">The form is not ours, the viewer may not do this, or it cannot be done.</exception>
    public async Task<string> RunAsync(RegistryRequest request, Frame frame)
    {
        var http = request.Http;
        var form = await FormAsync(request);
        access.RequireOwnForm(http, form, frame.Viewer);
        if (frame.Here == "logout")
        {
            access.LogOut(http);
            return frame.To("");
        }
        var text = form["image"].ToString().Trim();
        var image = ImageName.Parse(text, repositories);
        if (!await frame.Viewer.MayChangeAsync(image.Name, request.Aborted))
            throw new RegistryException(RegistryError.Denied, "this login may not administer that repository: access.rules say who may")
            {
                Advice = AccessByRules.Advice,
            };
        string? tag = null;
        Storage.Digest digest = default;
        var isTag = image.Reference is { } reference && reference.IsTag(out tag, out digest);
        // What has begun goes on to its end, also if the browser leaves.
        switch (frame.Here)
        {
            case "pin" when isTag:
                await pins.PinAsync(image.Name, tag!, CancellationToken.None);
                break;
            case "unpin" when isTag:
                await pins.UnpinAsync(image.Name, tag!, CancellationToken.None);
                break;
            case "purge" when image.Reference is not null:
                await purge.RunAsync(image, dryRun: false, CancellationToken.None);
                break;
            case "warm":
                warming.Start(image, text, form["platform"] is [{ Length: > 0 and <= 64 } platform] ? platform : Warmer.DefaultPlatform);
                break;
            case "delete" when isTag:
                request.User = await frame.Viewer.UserForAsync(image.Name, AccessAction.Delete, request.Aborted);
                await registry.DeleteTagAsync(request, image.Name, tag!, mayDelete: frame.Viewer.Admin is { Rules: null });
                break;
            case "release" when image.Reference is not null && !isTag:
                await held.ReleaseAsync(image.Name, digest, CancellationToken.None);
                break;
            default:
                throw new RegistryException(RegistryError.TagInvalid, "the form names no image that this can be done to");
        }
        http.Features.Set(new AdminChange(frame.Here, image));
        return frame.Here switch
        {
            "warm" => frame.To("live"),
            "purge" or "delete" => frame.To("images", ("search", image.Name.ToString())),
            "release" => frame.To("image", ("image", $"{image.Name}:{form["tag"]}")),
            _ => frame.To("image", ("image", $"{image.Name}:{tag}")),
        };
    }

    private async ValueTask<IFormCollection> FormAsync(RegistryRequest request)
    {
        if (!request.Http.Request.HasFormContentType)
            throw new RegistryException(new RegistryError("UNSUPPORTED", 415, "only forms are taken here"));
        // Here a client that sends nothing is cut after http.idle_timeout.
        await bodies.BufferAsync(request, MaxForm);
        try
        {
            return await request.Http.Request.ReadFormAsync(request.Aborted);
        }
        // The whole body is in memory, so the form itself is wrong: too many fields, or parts without a boundary or without an end.
        catch (Exception malformed) when (malformed is InvalidDataException or IOException)
        {
            throw new RegistryException(new RegistryError("UNSUPPORTED", 400, "the form cannot be read"), malformed.Message);
        }
    }

    // A page of ours: nothing that a browser could read as another host.
    [GeneratedRegex(@"^[a-z]*(?:\?[\x21-\x7e]*)?\z", RegexOptions.CultureInvariant)]
    private static partial Regex PageAndQuery();
}
