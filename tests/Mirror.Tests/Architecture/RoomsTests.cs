using Mirror.Hosting;
using Mirror.Storage;
using Xunit;

namespace Mirror.Tests.Architecture;

/// <summary>The shape of the code that docs/architecture.md promises.</summary>
public sealed class RoomsTests
{
    private static readonly Arrows Arrows = new(typeof(Server).Assembly, typeof(Digest).Assembly);

    [Fact]
    public void No_room_depends_on_itself_through_others()
    {
        var circles = Arrows.Rooms.Select(Arrows.Circle).OfType<IReadOnlyList<string>>()
            .Select(circle => string.Join("\n", circle.Zip(circle.Skip(1), (from, to) => $"  {from} -> {to}: {Arrows.From(from)[to]}")));

        Assert.True(!circles.Any(), $"rooms that depend on themselves:\n{string.Join("\n\n", circles)}");
    }

    [Fact]
    public void Storage_does_not_depend_on_the_web_server() =>
        Assert.DoesNotContain(
            typeof(Digest).Assembly.GetReferencedAssemblies(),
            assembly => assembly.Name!.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal));
}
