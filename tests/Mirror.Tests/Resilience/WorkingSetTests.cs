using System.Globalization;
using Mirror.Tests.Admin;
using Mirror.Tests.Peers;
using Mirror.Tests.PullThrough;
using Mirror.Tests.Upstream;
using Xunit;

namespace Mirror.Tests.Resilience;

/// <summary><c>proxy.max_size</c> of a folder while clients pull twice as much: see <see cref="WorkingSet"/>.</summary>
public sealed class WorkingSetTests : MirrorOfHub
{
    private static readonly long Unit = Figures.Full ? 700 << 10 : 64 << 10;

    protected override MirrorSettings Settings(ScriptedHub hub) => new()
    {
        Upstream = hub.Url,
        Environment = new Dictionary<string, string>
        {
            ["REGISTRY_PROXY_MAX_SIZE"] = WorkingSet.LimitOf(Unit).ToString(CultureInfo.InvariantCulture),
        },
    };

    [Fact]
    public async Task A_cache_of_half_the_working_set_keeps_its_limit_its_pins_and_what_was_pushed_and_fails_no_pull() =>
        await new WorkingSet(Hub, Unit, [Mirror], Mirror.AdminLogin, ListAsync).RunAsync();

    private Task<Dictionary<string, long>> ListAsync() => Task.Run(() => new DirectoryInfo(Mirror.Root)
        .EnumerateFiles("*", new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = true })
        .Select(file => (Path: Path.GetRelativePath(Mirror.Root, file.FullName), Length: LengthOf(file)))
        .Where(file => file.Length is not null)
        .ToDictionary(file => file.Path, file => file.Length!.Value));

    private static long? LengthOf(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (FileNotFoundException)
        {
            // It went meanwhile.
            return null;
        }
    }
}
